/**
 * Hands a window of history to a target: in order, each record at its time or as fast as the target takes them, and with a count of
 * everything that did not arrive.
 */
import pLimit from 'p-limit'
import { discard, isThenable, type Outcome, within } from '../guard/promises.ts'
import { attempt, isInstance, propertyOf } from '../guard/values.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { matches } from '../model/filter.ts'
import type { LogRecord } from '../model/record.ts'
import { Pacer } from './pacer.ts'
import { type ReplayOptions, type ResolvedReplayOptions, resolveReplayOptions } from './replay-options.ts'
import type { ReplaySummary } from './replay-summary.ts'
import {
	type BatchSource,
	batchesOf,
	checkSource,
	isBatchSource,
	type RecordSource,
	warnLeft,
} from './source.ts'
import { Tally } from './tally.ts'
import { asTarget, type ReplayTarget, wantsGaps } from './target.ts'
import { TargetWriter } from './target-writer.ts'

/** Records that wait behind others of their key, for each that may be with the target: what is read ahead. */
const AHEAD = 16

/**
 * Replays what matches into a target, in the order of the source. Each record keeps its time, and says by its `origin` whose it was,
 * so that whoever gets it can tell replay from life. Gaps are counted, and handed to targets that keep them.
 *
 * A record that the target does not take is tried again and then counted; the rest goes on unless `stopOnError`. Paced, the first one
 * comes at once, each other one at its distance from that one's time; one that is earlier comes at once, and a target that was slow
 * catches up.
 *
 * @param source a chain, which seeks what is wanted, or anything that gives records: an array, a generator, `readJsonl(path)`.
 * @param target is flushed at the end, and never closed.
 * @returns what happened, also when the signal ended it.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL` before anything is read; `REPLAY_FAILED` when the source
 * fails, with the first seq that was not dealt with.
 *
 * @example
 * ```ts
 * import { openChain, replay } from 'mesh-chain'
 *
 * const chain = await openChain('node.chain')
 * const summary = await replay(chain, (record) => console.log(record.message), { level: 'warn', speed: 10 })
 * console.log(summary.replayed, summary.failed, summary.gaps.records)
 * await chain.close()
 * ```
 */
export async function replay(
	source: BatchSource | RecordSource,
	target: ReplayTarget | ((record: LogRecord) => unknown),
	options: ReplayOptions = {},
): Promise<ReplaySummary> {
	checkSource(source)
	return new Replay(source, asTarget(target), resolveReplayOptions(options)).run()
}

class Replay {
	readonly #source: BatchSource | RecordSource
	readonly #options: ResolvedReplayOptions
	readonly #pacer: Pacer
	readonly #delivery: TargetWriter
	readonly #tally: Tally
	#hasError = false
	#aborted = false
	#wakeSource: (() => void) | undefined

	constructor(source: BatchSource | RecordSource, target: ReplayTarget, options: ResolvedReplayOptions) {
		this.#source = source
		this.#options = options
		this.#pacer = new Pacer(options.clock, options.speed, options.gapMsMax)
		this.#delivery = new TargetWriter(options.dryRun ? NOWHERE : target, options)
		const sourceId = options.sourceId ?? chainIdOf(source) ?? 'replay'
		const keepsGaps = wantsGaps(target)
		this.#tally = new Tally(this.#delivery, { ...options, sourceId, keepsGaps, pacer: this.#pacer })
	}

	async run(): Promise<ReplaySummary> {
		const { signal } = this.#options
		const onAbort = () => this.#abort()
		if (signal?.aborted) onAbort()
		signal?.addEventListener('abort', onAbort)
		try {
			if (this.#options.concurrency === 1) await this.#each((record) => this.#deliver(record))
			else await this.#severalAtATime()
			await this.#delivery.flush()
		} catch (error) {
			throw this.#failed(error)
		} finally {
			signal?.removeEventListener('abort', onAbort)
		}
		return this.#tally.summary(this.#ending, attempt(() => this.#source.skipped, undefined) ?? {})
	}

	#abort(): void {
		this.#aborted = true
		this.#pacer.stop()
		this.#delivery.abort()
		this.#wakeSource?.()
	}

	get #isOver(): boolean {
		const isStopped = this.#hasError && this.#options.stopOnError
		return this.#aborted || this.#delivery.isGone || isStopped
	}

	/** Each key is a queue of its own, and so many records are with the target at a time. */
	async #severalAtATime(): Promise<void> {
		const { concurrency, key } = this.#options
		const limit = pLimit(concurrency)
		const queues = new Map<unknown, Promise<void>>()
		const running = new Set<Promise<void>>()
		const each = this.#each(async (record) => {
			const name = keyOf(key, record)
			const before = queues.get(name)
			const done = (async () => {
				await before
				await limit(async () => {
					if (!this.#isOver) await this.#deliver(record)
				})
			})()
			queues.set(name, done)
			running.add(done)
			void done.then(() => {
				running.delete(done)
				if (queues.get(name) === done) queues.delete(name)
			})
			while (running.size >= concurrency * AHEAD && !this.#isOver) await Promise.race(running)
		})
		// Also when the source fails: whoever is told may take the target away.
		await each.finally(() => Promise.allSettled(running))
		await Promise.all(running)
	}

	/** Every record that is meant for the target, when it is due. */
	async #each(take: (record: LogRecord) => void | Promise<void>): Promise<void> {
		const batches = batchesOf(this.#source, this.#options.query, this.#options.timeoutMs)
		try {
			while (!this.#hasEnough) {
				const step = await this.#next(batches)
				if (step === undefined || step.done) return
				for (const record of step.value) {
					if (this.#hasEnough) return
					const wanted = this.#wanted(record)
					if (wanted === undefined) continue
					this.#tally.next(wanted)
					const lateMs = this.#options.speed === Number.POSITIVE_INFINITY ? 0 : await this.#due(wanted)
					if (this.#isOver) return
					this.#tally.begin(wanted, lateMs)
					const taken = take(wanted)
					if (taken !== undefined) await taken
				}
			}
		} finally {
			// Whoever waits for more may wait for ever: it is told, not waited for.
			const returned = within(batches.return(undefined), this.#options.timeoutMs)
			if (!this.#aborted) tellEnd(await returned, this.#options.timeoutMs)
		}
	}

	#due(record: LogRecord): Promise<number> {
		return this.#pacer.due(record.tsMs, undefined, (waitMs) => this.#tally.waiting(record, waitMs))
	}

	get #hasEnough(): boolean {
		return this.#isOver || this.#tally.taken >= this.#options.limit
	}

	/** The next batch; undefined once the replay was ended. */
	#next<T>(batches: AsyncIterator<T>): Promise<IteratorResult<T> | undefined> {
		return new Promise((resolve, reject) => {
			this.#wakeSource = () => resolve(undefined)
			batches.next().then(resolve, reject)
		})
	}

	#wanted(record: LogRecord): LogRecord | undefined {
		if (isBatchSource(this.#source) || matches(record, this.#options.filter))
			return this.#tally.forTarget(record)
		this.#tally.filtered()
		return undefined
	}

	#deliver(record: LogRecord): void | Promise<void> {
		const arrived = this.#delivery.deliver(record)
		if (typeof arrived === 'boolean') this.#end(record, arrived)
		else return arrived.then((isThere) => this.#end(record, isThere))
	}

	#end(record: LogRecord, isThere: boolean): void {
		if (!isThere) this.#hasError = true
		// What ends the replay is where the next one begins.
		if (isThere || !this.#isOver) this.#tally.end(record)
	}

	#failed(error: unknown): MeshChainError {
		const { replayed, failed } = this.#delivery.counts
		const seq = this.#tally.nextSeq
		const isKey = isInstance(error, KeyFailure)
		const what = isKey ? "the option 'key' failed" : 'the source failed'
		const text = `${what} after ${replayed} records (${failed} failed): ${messageOf(error)}`
		return new MeshChainError('REPLAY_FAILED', text, {
			cause: isKey ? error.cause : error,
			...(seq === undefined ? {} : { seq }),
		})
	}

	get #ending(): ReplaySummary['ended'] {
		if (this.#delivery.isGone) return 'targetGone'
		if (this.#hasError && this.#options.stopOnError) return 'error'
		return this.#aborted ? 'aborted' : 'end'
	}
}

/** @throws {unknown} what the source throws as it is told that no more is wanted. */
function tellEnd(returned: Outcome<unknown>, timeoutMs: number): void {
	if (returned.is === 'rejected') throw returned.thrown
	if (returned.is === 'late') warnLeft(timeoutMs)
}

/** It is the function `key` that failed, not the source. */
class KeyFailure extends Error {}

/** @throws {KeyFailure} where the function throws, or gives a promise: each one would be a key of its own. */
function keyOf(key: ResolvedReplayOptions['key'], record: LogRecord): unknown {
	try {
		const name: unknown = key(record)
		if (!isThenable(name)) return name
		discard(name)
		throw new TypeError('it gave a promise, and must give a value')
	} catch (thrown) {
		throw new KeyFailure(messageOf(thrown), { cause: thrown })
	}
}

function chainIdOf(source: BatchSource | RecordSource): string | undefined {
	const chainId = propertyOf(source, 'chainId')
	return typeof chainId === 'string' ? chainId : undefined
}

/** Where the records of a dry run go. */
const NOWHERE: ReplayTarget = { write: () => {} }
