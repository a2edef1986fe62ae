/** A replay with a hand on it: play, pause, change the speed, step, go to any place, again and again. */
import { type Chain, checkChain } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { checkBoolean, checkIsObject, checkWholeNumber } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogFilter } from '../model/filter.ts'
import { isPointInTime, type LogRecord } from '../model/record.ts'
import { Pacer } from './pacer.ts'
import {
	checkRate,
	type ReplayOptions,
	type ResolvedReplayOptions,
	resolveReplayOptions,
} from './replay-options.ts'
import type { ReplaySummary } from './replay-summary.ts'
import { Tally } from './tally.ts'
import { asTarget, type ReplayTarget, wantsGaps } from './target.ts'
import { TargetWriter } from './target-writer.ts'

/** A place in a chain: the record with this seq, or the first one that is not before this time. */
export type Place = { readonly seq: number } | { readonly tsMs: number }

/**
 * As in a replay. Records go to the target one at a time: `concurrency` and `key` have no meaning here. `limit` counts anew after each seek and each time
 * that a looping player begins again.
 */
export interface PlayerOptions extends Omit<ReplayOptions, 'concurrency' | 'key' | 'stopOnError' | 'dryRun'> {
	/** Begin again when the end is reached. Default false. */
	loop?: boolean
}

/**
 * Plays a window of a chain into a target, by default at the speed of life.
 *
 * @example
 * ```ts
 * import { openChain, Player } from 'mesh-chain'
 *
 * const chain = await openChain('node.chain')
 * const player = new Player(chain, (record) => console.log(record.message), { speed: 60 })
 * await player.step(2)
 * await player.seek({ seq: 1 })
 * console.log((await player.play()).replayed)
 * await chain.close()
 * ```
 */
export class Player {
	readonly #chain: Chain
	readonly #options: ResolvedReplayOptions
	readonly #loops: boolean
	readonly #pacer: Pacer
	readonly #delivery: TargetWriter
	readonly #tally: Tally
	#playing: Promise<ReplaySummary> | undefined
	#records: AsyncIterator<LogRecord> | undefined
	/** The record that comes next, once it is known. */
	#ahead: LogRecord | undefined
	/** Counts the times that somebody went elsewhere: what was waited for is not wanted then. */
	#place = 0
	#from: LogFilter | undefined
	#until: Place | undefined
	#steps = 0
	/** Records begun since the player was last told where to begin. */
	#taken = 0
	#arrived: (() => void) | undefined
	#isStopped = false
	#isEnded = false

	/**
	 * @param options speed: default 1.
	 * @throws {MeshChainError} as `replay` does.
	 */
	constructor(
		chain: Chain,
		target: ReplayTarget | ((record: LogRecord) => unknown),
		options: PlayerOptions = {},
	) {
		checkChain('a player needs a chain', chain, ['records'])
		checkIsObject('options', options)
		const { loop = false, ...rest } = options
		for (const name of ['concurrency', 'key', 'stopOnError', 'dryRun']) {
			if (name in rest)
				throw new MeshChainError('INVALID_OPTION', `${name} is an option of replay, not of a player`)
		}
		this.#chain = chain
		this.#options = resolveReplayOptions({ speed: 1, ...rest })
		this.#loops = checkBoolean('loop', loop)
		this.#from = this.#options.query
		const { clock, rate, gapMsMax, sourceId = chain.chainId } = this.#options
		const into = asTarget(target)
		this.#pacer = new Pacer(clock, rate, gapMsMax)
		this.#delivery = new TargetWriter(into, this.#options)
		this.#tally = new Tally(this.#delivery, {
			...this.#options,
			sourceId,
			keepsGaps: wantsGaps(into),
			pacer: this.#pacer,
		})
	}

	/**
	 * How many times faster than life; may be set at any moment. Infinity: as fast as the target takes records.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	get rate(): number {
		return this.#pacer.rate
	}

	set rate(rate: number) {
		this.#pacer.rate =
			rate === Number.POSITIVE_INFINITY ? rate : checkRate('rate', rate, 'a number above 0 or Infinity')
	}

	/** The seq of the next record; undefined before it is known, and at the end. */
	get nextSeq(): number | undefined {
		return this.#ahead?.seq
	}

	get isPaused(): boolean {
		return this.#pacer.isPaused
	}

	/** Plays, or goes on playing; resolves when the end is reached or {@link stop} is called, to what was done by then. */
	play(): Promise<ReplaySummary> {
		this.#until = undefined
		return this.#goOn()
	}

	/**
	 * Plays up to a place and pauses there: no record with a later seq, or after that time, is handed over. Resolves there, or at the end of the
	 * window, also where the player loops. At a place that it has already reached, a player hands nothing over.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`; `INVALID_USAGE` after {@link stop}.
	 */
	async playUntil(place: Place): Promise<void> {
		const until = checkPlace(place)
		this.#refuseStopped('playUntil')
		this.#until = until
		const arrived = this.#arrival()
		await Promise.race([arrived, this.#goOn()])
	}

	pause(): void {
		this.#pacer.pause()
	}

	resume(): void {
		this.#pacer.resume()
	}

	/**
	 * Hands over the next records at once, whatever their time, and pauses; resolves when that is done or the end is reached.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`; `INVALID_USAGE` after {@link stop}.
	 */
	async step(count = 1): Promise<void> {
		checkWholeNumber('count', count, 1)
		this.#refuseStopped('step')
		this.#steps += count
		this.#until = undefined
		this.pause()
		const arrived = this.#arrival()
		await Promise.race([arrived, this.#start()])
	}

	/**
	 * Goes to a place in the window; a player that plays goes on from there, with that record at once. A place before the window is its beginning,
	 * a place after it its end.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`; `INVALID_USAGE` after {@link stop}.
	 */
	async seek(place: Place): Promise<void> {
		const checked = checkPlace(place)
		this.#refuseStopped('seek')
		const { query, filter } = this.#options
		const seq = 'seq' in checked ? checked.seq : await this.#firstSeqSince(checked.tsMs)
		if (seq === undefined || seq > filter.toSeq) return this.#goTo(undefined)
		this.#goTo({ ...query, fromSeq: Math.max(filter.fromSeq, seq) })
	}

	/** Ends {@link play}; the player cannot be used afterwards, and another `play` ends at once. */
	stop(): void {
		this.#isStopped = true
		this.#delivery.abort()
		this.#pacer.stop()
	}

	#refuseStopped(what: string): void {
		if (!this.#isStopped) return
		throw new MeshChainError('INVALID_USAGE', `the player was stopped: make a new one to ${what}()`)
	}

	#goOn(): Promise<ReplaySummary> {
		this.#steps = 0
		this.resume()
		return this.#start()
	}

	/** Resolves when the steps are done, or the place to play to is reached; whoever waited before is let go. */
	#arrival(): Promise<void> {
		this.#arrived?.()
		return new Promise((resolve) => {
			this.#arrived = resolve
		})
	}

	#start(): Promise<ReplaySummary> {
		if (this.#isEnded && !this.#isStopped) {
			this.#isEnded = false
			this.#playing = undefined
		}
		this.#playing ??= this.#runUntilAborted()
		// Who only steps does not wait for the end.
		this.#playing.catch(() => {})
		this.#pacer.wake()
		return this.#playing
	}

	/** @param from undefined: the end of the window. */
	#goTo(from: LogFilter | undefined): void {
		this.#from = from
		this.#taken = 0
		this.#place++
		this.#ahead = undefined
		void this.#records?.return?.()
		this.#records = undefined
		this.#pacer.restart()
	}

	async #firstSeqSince(tsMs: number): Promise<number | undefined> {
		const query = { ...this.#options.query, since: tsMs, limit: 1, gaps: 'skip' as const }
		for await (const record of this.#chain.records(query)) return record.seq
		return undefined
	}

	/** A signal that outlives the player knows of it only while it plays. */
	async #runUntilAborted(): Promise<ReplaySummary> {
		const { signal } = this.#options
		const onAbort = () => this.stop()
		if (signal?.aborted) onAbort()
		signal?.addEventListener('abort', onAbort)
		try {
			return await this.#run()
		} finally {
			signal?.removeEventListener('abort', onAbort)
		}
	}

	async #run(): Promise<ReplaySummary> {
		try {
			while (!this.#isOver) {
				const place = this.#place
				const record = this.#taken < this.#options.limit ? await this.#next() : undefined
				if (place !== this.#place) continue
				if (record === undefined) {
					// A window in which there is nothing does not begin again.
					const isEmpty = this.#taken === 0 && this.#from === this.#options.query
					if (!this.#loops || isEmpty) break
					await this.#pacer.resumed(() => this.#steps === 0 && place === this.#place)
					if (place !== this.#place || this.#isStopped) continue
					this.#goTo(this.#options.query)
					// A target that takes everything at once leaves nobody else a turn.
					await new Promise((resolve) => setImmediate(resolve))
					if (this.#until !== undefined) this.#arrive()
				} else if (isBeyond(record, this.#until)) await this.#reach(this.#until!, place)
				else await this.#hand(record, place)
			}
		} finally {
			this.#isEnded = true
			this.#steps = 0
		}
		await this.#delivery.flush()
		const ended = this.#delivery.isGone ? 'targetGone' : this.#isStopped ? 'aborted' : 'end'
		return this.#tally.summary(ended)
	}

	get #isOver(): boolean {
		return this.#isStopped || this.#delivery.isGone
	}

	/** The next record lies beyond the place to play to: pauses when the recording has come there. */
	async #reach(until: Place, place: number): Promise<void> {
		const isStillWanted = () => this.#steps === 0 && place === this.#place && this.#until === until
		if ('tsMs' in until) await this.#pacer.reached(until.tsMs, isStillWanted)
		if (isStillWanted() && !this.#isStopped) this.#arrive()
	}

	#arrive(): void {
		this.#until = undefined
		this.pause()
		this.#arrived?.()
	}

	/** Hands a record over when it is due, or stepped to; neither when somebody has gone elsewhere meanwhile. */
	async #hand(record: LogRecord, place: number): Promise<void> {
		const wanted = this.#tally.forTarget(record)
		if (wanted === undefined) {
			this.#ahead = undefined
			return
		}
		this.#tally.next(wanted)
		const isStillWanted = () => this.#steps === 0 && place === this.#place && !isBeyond(record, this.#until)
		const lateMs = await this.#pacer.due(wanted.tsMs, isStillWanted, (waitMs) =>
			this.#tally.waiting(wanted, waitMs),
		)
		if (place !== this.#place || this.#isStopped || isBeyond(record, this.#until)) return
		this.#ahead = undefined
		this.#taken++
		this.#tally.begin(wanted, this.#steps > 0 ? 0 : lateMs)
		if (await this.#delivery.deliver(wanted)) this.#tally.end(wanted)
		if (this.#steps > 0) this.#afterStep(record)
		else if (this.#until !== undefined && 'seq' in this.#until && record.seq >= this.#until.seq)
			this.#arrive()
	}

	#afterStep(record: LogRecord): void {
		this.#steps--
		// The time of the recording goes on from where the steps have led.
		this.#pacer.restart(record.tsMs)
		if (this.#steps === 0) this.#arrived?.()
	}

	async #next(): Promise<LogRecord | undefined> {
		if (this.#ahead !== undefined) return this.#ahead
		if (this.#from === undefined) return undefined
		const place = this.#place
		this.#records ??= this.#chain.records(this.#from)[Symbol.asyncIterator]()
		const { value, done } = await this.#records.next()
		if (place === this.#place && !done) this.#ahead = value
		return done ? undefined : value
	}
}

/** Whether a record comes after the place to play to, if there is one. */
function isBeyond(record: LogRecord, until: Place | undefined): boolean {
	if (until === undefined) return false
	return 'seq' in until ? record.seq > until.seq : record.tsMs > until.tsMs
}

function checkPlace(place: Place): Place {
	const { seq, tsMs } = (place ?? {}) as { readonly seq?: number; readonly tsMs?: number }
	if (tsMs === undefined && Number.isSafeInteger(seq) && seq! >= 0) return { seq: seq! }
	if (seq === undefined && isPointInTime(tsMs)) return { tsMs }
	throw new MeshChainError(
		'INVALID_OPTION',
		`a place is { seq } from 0 or { tsMs }, not ${show(seq ?? tsMs ?? place)}`,
	)
}
