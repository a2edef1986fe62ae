/** A replay with manual control: play, pause, change the speed, step and seek. */
import { type Chain, checkChain } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { checkBoolean, checkIsObject, checkWholeNumber } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogFilter } from '../model/filter.ts'
import { type HistoryPosition, positionFrom } from '../model/history-position.ts'
import type { LogRecord } from '../model/record.ts'
import { Pacer } from './pacer.ts'
import {
	checkSpeed,
	type ReplayOptions,
	type ResolvedReplayOptions,
	resolveReplayOptions,
} from './replay-options.ts'
import type { ReplaySummary } from './replay-summary.ts'
import { Tally } from './tally.ts'
import { asTarget, type ReplayTarget, wantsGaps } from './target.ts'
import { TargetWriter } from './target-writer.ts'

/**
 * Options for a player. Records are delivered one at a time, so `concurrency` and `key` do not apply. The
 * count for `limit` restarts at zero after each seek and each time a looping player returns to the start.
 */
export interface PlayerOptions extends Omit<ReplayOptions, 'concurrency' | 'key' | 'stopOnError' | 'dryRun'> {
	/** Whether to start over at the end of the window. Default: false. */
	readonly loop?: boolean | undefined
}

/**
 * Replays a window of a chain into a target, by default in real time.
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
	/** Next record; undefined if it has not been read yet. */
	#ahead: LogRecord | undefined
	/** Number of seeks. A wait that started before the latest seek is obsolete. */
	#visit = 0
	#from: LogFilter | undefined
	#until: HistoryPosition | undefined
	#steps = 0
	/** Number of deliveries started since the last seek. */
	#taken = 0
	#arrived: (() => void) | undefined
	#isStopped = false
	#isEnded = false

	/**
	 * @param options Options of the player. Default for `speed`: 1.
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL`
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
				throw new MeshChainError(
					'INVALID_OPTION',
					`${name} is an option of replay and does not apply to a player`,
				)
		}
		this.#chain = chain
		this.#options = resolveReplayOptions({ speed: 1, ...rest })
		this.#loops = checkBoolean('loop', loop)
		this.#from = this.#options.query
		const { clock, speed, gapMsMax, sourceId = chain.chainId } = this.#options
		const into = asTarget(target)
		this.#pacer = new Pacer(clock, speed, gapMsMax)
		this.#delivery = new TargetWriter(into, this.#options)
		this.#tally = new Tally(this.#delivery, {
			...this.#options,
			sourceId,
			keepsGaps: wantsGaps(into),
			pacer: this.#pacer,
		})
	}

	/**
	 * Playback speed: 1 is real time, 10 is ten times as fast, and `'max'` is as fast as the target accepts
	 * records. The speed can be changed at any time.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	get speed(): number | 'max' {
		const { speed } = this.#pacer
		return speed === Number.POSITIVE_INFINITY ? 'max' : speed
	}

	set speed(speed: number | 'max') {
		this.#pacer.speed = checkSpeed('speed', speed)
	}

	/** Seq of the next record; undefined at the end or if the record has not been read yet. */
	get nextSeq(): number | undefined {
		return this.#ahead?.seq
	}

	/** Whether the player is paused. */
	get isPaused(): boolean {
		return this.#pacer.isPaused
	}

	/**
	 * Starts or resumes the replay. Resolves with the summary at the end of the window or after {@link stop}.
	 */
	play(): Promise<ReplaySummary> {
		this.#until = undefined
		return this.#goOn()
	}

	/**
	 * Plays up to a position and pauses there, before the first record with a higher seq or a later time.
	 * Resolves when the position or the end of the window has been reached, even for a looping player. Delivers
	 * nothing if the position has already been reached.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`, or `INVALID_USAGE` after {@link stop}.
	 */
	async playUntil(position: HistoryPosition): Promise<void> {
		const until = checkPosition(position)
		this.#refuseStopped('playUntil')
		this.#until = until
		const arrived = this.#arrival()
		await Promise.race([arrived, this.#goOn()])
	}

	/** Pauses before the next record. */
	pause(): void {
		this.#pacer.pause()
	}

	/** Continues after a pause, with the same remaining wait for the next record. */
	resume(): void {
		this.#pacer.resume()
	}

	/**
	 * Delivers the next records immediately, regardless of their times, and then pauses. Resolves when the
	 * records have been delivered or the end of the window has been reached.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`, or `INVALID_USAGE` after {@link stop}.
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
	 * Moves to a position in the window. If the player is playing, it continues from there and delivers the
	 * record at that position immediately. A position before the window is treated as its start, and a position
	 * after the window as its end.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`, or `INVALID_USAGE` after {@link stop}.
	 */
	async seek(position: HistoryPosition): Promise<void> {
		const checked = checkPosition(position)
		this.#refuseStopped('seek')
		const { query, filter } = this.#options
		const seq = 'seq' in checked ? checked.seq : await this.#firstSeqSince(checked.tsMs)
		if (seq === undefined || seq > filter.toSeq) return this.#goTo(undefined)
		this.#goTo({ ...query, fromSeq: Math.max(filter.fromSeq, seq) })
	}

	/**
	 * Ends the replay. The player cannot be used afterwards, and another call to {@link play} resolves
	 * immediately.
	 */
	stop(): void {
		this.#isStopped = true
		this.#delivery.abort()
		this.#pacer.stop()
	}

	#refuseStopped(what: string): void {
		if (!this.#isStopped) return
		throw new MeshChainError('INVALID_USAGE', `the player was stopped: use a new player for ${what}()`)
	}

	#goOn(): Promise<ReplaySummary> {
		this.#steps = 0
		this.resume()
		return this.#start()
	}

	/**
	 * Returns a promise that resolves when the steps are complete or the position is reached. Also resolves the
	 * previous caller's promise.
	 */
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
		// A caller that only steps does not await this promise.
		this.#playing.catch(() => {})
		this.#pacer.wake()
		return this.#playing
	}

	/** @param from Query to continue with; undefined for the end of the window. */
	#goTo(from: LogFilter | undefined): void {
		this.#from = from
		this.#taken = 0
		this.#visit++
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

	/**
	 * Runs the replay. Listens to the signal only during the run, so that a long-lived signal does not retain
	 * the player.
	 */
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
				const visit = this.#visit
				const record = this.#taken < this.#options.limit ? await this.#next() : undefined
				if (visit !== this.#visit) continue
				if (record === undefined) {
					// A looping player would repeat an empty window endlessly.
					const isEmpty = this.#taken === 0 && this.#from === this.#options.query
					if (!this.#loops || isEmpty) break
					await this.#pacer.resumed(() => this.#steps === 0 && visit === this.#visit)
					if (visit !== this.#visit || this.#isStopped) continue
					this.#goTo(this.#options.query)
					// A target that accepts every record synchronously would otherwise starve all other work.
					await new Promise((resolve) => setImmediate(resolve))
					if (this.#until !== undefined) this.#arrive()
				} else if (isBeyond(record, this.#until)) await this.#reach(this.#until!, visit)
				else await this.#hand(record, visit)
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

	/** Pauses when the replay reaches the position, because the next record is after it. */
	async #reach(until: HistoryPosition, visit: number): Promise<void> {
		const isStillWanted = () => this.#steps === 0 && visit === this.#visit && this.#until === until
		if ('tsMs' in until) await this.#pacer.reached(until.tsMs, isStillWanted)
		if (isStillWanted() && !this.#isStopped) this.#arrive()
	}

	#arrive(): void {
		this.#until = undefined
		this.pause()
		this.#arrived?.()
	}

	/** Delivers a record when it is due or when a step requests it, unless a seek occurs first. */
	async #hand(record: LogRecord, visit: number): Promise<void> {
		const wanted = this.#tally.forTarget(record)
		if (wanted === undefined) {
			this.#ahead = undefined
			return
		}
		this.#tally.next(wanted)
		const isStillWanted = () => this.#steps === 0 && visit === this.#visit && !isBeyond(record, this.#until)
		const lateMs = await this.#pacer.due(wanted.tsMs, isStillWanted, (waitMs) =>
			this.#tally.waiting(wanted, waitMs),
		)
		if (visit !== this.#visit || this.#isStopped || isBeyond(record, this.#until)) return
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
		// Playback resumes from the last record that a step delivered.
		this.#pacer.restart(record.tsMs)
		if (this.#steps === 0) this.#arrived?.()
	}

	async #next(): Promise<LogRecord | undefined> {
		if (this.#ahead !== undefined) return this.#ahead
		if (this.#from === undefined) return undefined
		const visit = this.#visit
		this.#records ??= this.#chain.records(this.#from)[Symbol.asyncIterator]()
		const { value, done } = await this.#records.next()
		if (visit === this.#visit && !done) this.#ahead = value
		return done ? undefined : value
	}
}

/**
 * Returns whether a record is after the position where the player must pause; false if there is no such
 * position.
 */
function isBeyond(record: LogRecord, until: HistoryPosition | undefined): boolean {
	if (until === undefined) return false
	return 'seq' in until ? record.seq > until.seq : record.tsMs > until.tsMs
}

function checkPosition(given: HistoryPosition): HistoryPosition {
	const position = positionFrom(given)
	if (position !== undefined) return position
	const { seq, tsMs } = (given ?? {}) as { readonly seq?: unknown; readonly tsMs?: unknown }
	const text = `a position must be { seq: 0 or higher } or { tsMs }, not ${show(seq ?? tsMs ?? given)}`
	throw new MeshChainError('INVALID_OPTION', text)
}
