/**
 * Delivers a window of history to a target in order. Records are delivered at their recorded pace, or as fast
 * as the target accepts them. Every record that is not delivered is counted.
 */
import pLimit from 'p-limit'
import { discard, isThenable, type Outcome, within } from '../guard/promises.ts'
import { attempt, isInstance, propertyOf } from '../guard/values.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { matches } from '../model/filter.ts'
import type { LogRecord } from '../model/record.ts'
import { counted } from '../text/numbers.ts'
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

/**
 * Number of records to read ahead per concurrent delivery. A record that is read ahead waits for earlier
 * records with the same key.
 */
const AHEAD = 16

/**
 * Replays the matching records into a target, in the order of the source. Replayed records keep their times.
 * The `origin` of a replayed record identifies the source chain and distinguishes the record from live
 * records. Gaps are counted, and are passed to targets that keep gaps.
 *
 * A failed delivery is retried. If all retries fail, the record is counted as failed. The replay continues
 * unless `stopOnError` is set. A paced replay delivers the first record immediately, and every later record
 * at its recorded interval from the first one. A record whose time has already passed is delivered
 * immediately, so that the replay catches up after a delay.
 *
 * @param source Chain or iterable of records, such as an array, a generator or `readJsonl(path)`. A chain
 * seeks to the start of the window.
 * @param target Target, or function that receives each record. The target is flushed at the end, but never
 * closed.
 * @returns The summary, even if the signal ends the replay.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER` or `INVALID_LEVEL` before anything is read, or
 * `REPLAY_FAILED` if the source or `key` fails. A `REPLAY_FAILED` error contains the seq of the first record
 * that was not handled.
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

	/** Delivers up to `concurrency` records at a time, with one queue per key. */
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
		// Waits even if the source fails, because the caller may release the target after the rejection.
		await each.finally(() => Promise.allSettled(running))
		await Promise.all(running)
	}

	/** Passes each record for the target to `take` when the record is due. */
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
			// A source that waits for new records may never end, so the wait for its end has a time limit.
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

	/** Returns the next batch; undefined if the replay was aborted. */
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
		// If a failed record ends the replay, the next replay must start with that record.
		if (isThere || !this.#isOver) this.#tally.end(record)
	}

	#failed(error: unknown): MeshChainError {
		const { replayed, failed } = this.#delivery.counts
		const seq = this.#tally.nextSeq
		const isKey = isInstance(error, KeyFailure)
		const what = isKey ? 'the key function failed' : 'the source failed'
		const text = `${what} after ${counted(replayed, 'record')} (${failed} failed): ${messageOf(error)}`
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

/**
 * Rethrows the error if the source failed to end, and emits a warning if it did not end in time.
 *
 * @throws {unknown} The error from the source.
 */
function tellEnd(returned: Outcome<unknown>, timeoutMs: number): void {
	if (returned.is === 'rejected') throw returned.thrown
	if (returned.is === 'late') warnLeft(timeoutMs)
}

/** A failure of the `key` function, as opposed to a failure of the source. */
class KeyFailure extends Error {}

/**
 * Returns the key of a record.
 *
 * @throws {KeyFailure} If `key` throws or returns a promise. A promise would never equal another key.
 */
function keyOf(key: ResolvedReplayOptions['key'], record: LogRecord): unknown {
	try {
		const name: unknown = key(record)
		if (!isThenable(name)) return name
		discard(name)
		throw new TypeError('it must return a value, not a promise')
	} catch (thrown) {
		throw new KeyFailure(messageOf(thrown), { cause: thrown })
	}
}

function chainIdOf(source: BatchSource | RecordSource): string | undefined {
	const chainId = propertyOf(source, 'chainId')
	return typeof chainId === 'string' ? chainId : undefined
}

/** The target of a dry run. */
const NOWHERE: ReplayTarget = { write: () => {} }
