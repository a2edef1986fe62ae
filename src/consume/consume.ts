/**
 * Passes each committed record of a chain to a handler, in order. After a crash, a consumer resumes at its
 * cursor.
 */
import { type Chain, checkFollowable, Patience } from '../chain/index.ts'
import { Abandonable, isThenable } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { isInstance } from '../guard/values.ts'
import { checkFunction } from '../model/check.ts'
import { defined } from '../model/define-options.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { matches } from '../model/filter.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import { Backoff } from '../platform/backoff.ts'
import { warn } from '../platform/diagnostics.ts'
import { wait } from '../platform/wait.ts'
import { type ConsumeOptions, type ResolvedConsumeOptions, resolveConsumeOptions } from './consume-options.ts'
import { type ConsumerCursor, CursorFile } from './cursor-file.ts'
import { lastUpTo } from './epoch-end.ts'
import { resumeAfter } from './resume.ts'
import { SaveSchedule } from './save-schedule.ts'

/** Counters of a consumer. */
export interface ConsumerStats {
	/** Number of records that the handler accepted, not counting gaps. */
	readonly handled: number
	/** Number of records that the filter excluded. */
	readonly filtered: number
	/** Number of gaps that the handler accepted. */
	readonly gaps: number
	/** Number of absent records in those gaps, counting only records after the cursor. */
	readonly absent: number
	/** Number of times that the handler threw or rejected. */
	readonly failures: number
	/** Number of times that the cursor was saved. */
	readonly saves: number
	/** Number of times that the cursor could not be saved. */
	readonly saveFailures: number
	/**
	 * Number of seqs by which the cursor was moved back at the start, because a power loss removed handled
	 * records from the chain.
	 */
	readonly setBack: number
	/**
	 * Message of the latest error from the handler or from saving the cursor; undefined after both succeed
	 * again.
	 */
	readonly lastError: string | undefined
}

/** A running consumer of a chain. */
export interface Consumer extends AsyncDisposable {
	/** Name of the consumer. */
	readonly name: string
	/**
	 * Epoch and seq of the last record that was handled or that the filter excluded. The saved cursor may lag
	 * by about `saveIntervalRecords` records.
	 */
	readonly cursor: ConsumerCursor
	/** Resolves when the consumer is closed; rejects if it ends because of an error. */
	readonly done: Promise<void>
	/** Returns the number of seqs between the cursor and the end of the chain. */
	lag(): Promise<number>
	/** Returns the counters. */
	stats(): ConsumerStats
	/**
	 * Waits up to `closeTimeoutMs` for the handler to finish the current record, then saves the cursor and
	 * releases its lock. The chain stays open. Idempotent.
	 *
	 * @throws {MeshChainError} The error that `done` rejects with, `CLOSE_FAILED` if the handler takes too
	 * long, or `CURSOR_FAILED` if the cursor cannot be saved.
	 */
	close(): Promise<void>
}

/**
 * Passes each record of a chain to a handler, in order and one at a time: first the existing records, and
 * then new records as they are committed. The cursor is saved on disk next to the chain, and a consumer with
 * the same name resumes at the cursor.
 *
 * Delivery is at least once: after a crash, about `saveIntervalRecords` records may be handled again. For
 * exactly-once results, store a record's identity, `(chainId, epoch, seq)`, and its result in one
 * transaction. If the handler fails on a record, the consumer retries that record, and later records wait.
 * The handler also receives `$gap` records.
 *
 * @param chain Chain to consume. It must have its own file, so a merged chain is refused.
 * @param name Name of the cursor: 1 to 64 letters, digits, `-` and `_`. At most one consumer with a given
 * name runs at a time.
 * @param handler Function that handles a record. It may return a promise. If it throws or rejects, the
 * consumer retries the record.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL`, `CURSOR_IN_USE`,
 * `CURSOR_MISMATCH`, `CURSOR_DAMAGED`, `CURSOR_FAILED`.
 *
 * @example
 * ```ts
 * import { type LogRecord, openChain } from 'mesh-chain'
 * import { consume } from 'mesh-chain/consume'
 *
 * await using chain = await openChain('node.chain')
 * const send = async ({ seq, message }: LogRecord) => console.log(seq, message)
 * const consumer = consume(chain, 'mailer', send, { kind: 'order' })
 * console.log(await consumer.lag())
 * await consumer.close()
 * ```
 */
export function consume(
	chain: Chain,
	name: string,
	handler: (record: LogRecord) => unknown,
	options: ConsumeOptions = {},
): Consumer {
	checkFollowable('a consumer needs a chain', chain)
	const resolved = resolveConsumeOptions(chain.path, name, options)
	return new ChainConsumer(chain, name, checkFunction('a handler', handler), resolved)
}

/** Thrown if the handler takes too long after the consumer is closed. */
class Overdue extends Error {}

class ChainConsumer implements Consumer {
	readonly name: string
	readonly done: Promise<void>
	readonly #chain: Chain
	readonly #handler: (record: LogRecord) => unknown
	readonly #options: ResolvedConsumeOptions
	readonly #file: CursorFile
	readonly #over = new AbortController()
	readonly #answer = new Abandonable()
	readonly #schedule: SaveSchedule
	/**
	 * Resolves to the seq after which the consumer starts. If it rejects, `done` rejects with the same error.
	 */
	readonly #beginning: Promise<number>
	readonly #counts = {
		handled: 0,
		filtered: 0,
		gaps: 0,
		absent: 0,
		failures: 0,
		saves: 0,
		saveFailures: 0,
		setBack: 0,
	}
	#cursor: ConsumerCursor = { epoch: 0, seq: 0 }
	/** Number of records since the cursor was saved. */
	#unsaved = 0
	/**
	 * Number of handled records at the last save. Records that the filter excluded do not count, because
	 * skipping them again costs nothing.
	 */
	#savedHandled = 0
	#saving: Promise<void> | undefined
	#handlerError: string | undefined
	#saveError: MeshChainError | undefined
	#closing: Promise<void> | undefined

	constructor(
		chain: Chain,
		name: string,
		handler: (record: LogRecord) => unknown,
		options: ResolvedConsumeOptions,
	) {
		this.name = name
		this.#chain = chain
		this.#handler = handler
		this.#options = options
		this.#file = new CursorFile(options.system, options.cursorPath, chain.chainId)
		this.#schedule = new SaveSchedule(options, () => void this.#save())
		this.#beginning = this.#begin()
		this.done = this.#run()
		// A caller may ignore `done`, because a warning also reports the failure.
		this.done.catch(() => {})
	}

	get cursor(): ConsumerCursor {
		return this.#cursor
	}

	async lag(): Promise<number> {
		await this.#beginning
		const last = await lastUpTo(this.#chain)
		return Math.max(0, (last?.seq ?? 0) - this.#cursor.seq)
	}

	stats(): ConsumerStats {
		return { ...this.#counts, lastError: this.#handlerError ?? this.#saveError?.message }
	}

	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	get #handled(): number {
		return this.#counts.handled + this.#counts.gaps
	}

	async #close(): Promise<void> {
		this.#over.abort()
		const { closeTimeoutMs } = this.#options
		const timer = setTimeout(() => this.#answer.abandon(new Overdue()), closeTimeoutMs)
		await this.done.finally(() => clearTimeout(timer))
		if (this.#saveError !== undefined) throw this.#saveError
	}

	async #run(): Promise<void> {
		try {
			const afterSeq = await this.#beginning
			const { durableOnly, pollIntervalMs } = this.#options
			const records = this.#chain.tail({
				afterSeq,
				durableOnly,
				...defined({ pollIntervalMs }),
				signal: this.#over.signal,
			})
			for await (const record of records) {
				if (this.#over.signal.aborted || !(await this.#isDealtWith(record))) break
				this.#cursor = { epoch: Math.max(record.epoch, this.#cursor.epoch), seq: record.seq }
				this.#unsaved++
				if (this.#schedule.isDue(this.#handled - this.#savedHandled)) await this.#save()
				else this.#schedule.later()
			}
		} catch (error) {
			warn('CONSUMER_ENDED', `the consumer ${show(this.name)} has ended: ${messageOf(error)}`)
			throw error
		} finally {
			this.#schedule.stop()
			await this.#saving
			if (this.#unsaved > 0 || !this.#file.isKept) await this.#save()
			this.#file.close()
		}
	}

	/**
	 * Returns the seq after which the consumer starts. The starting position is saved before the first record
	 * is handled, so that a restart does not change it.
	 */
	async #begin(): Promise<number> {
		const patience = new Patience(this.#chain.path, {
			isStopped: () => this.#over.signal.aborted,
			sleep: (ms) => wait(ms, this.#over.signal),
		})
		return (await patience.patiently(() => this.#findBeginning())) ?? this.#cursor.seq
	}

	async #findBeginning(): Promise<number> {
		this.#cursor = this.#file.found ?? (await this.#first())
		const { epoch, seq } = this.#cursor
		const afterSeq = await resumeAfter(this.#chain, this.#cursor)
		this.#cursor = { epoch, seq: afterSeq }
		this.#counts.setBack = seq - afterSeq
		await this.#file.save(this.#cursor)
		return afterSeq
	}

	/** Returns the starting position of a consumer without a saved cursor. */
	async #first(): Promise<ConsumerCursor> {
		const last = this.#options.from === 'end' ? await lastUpTo(this.#chain) : undefined
		return { epoch: last?.epoch ?? 0, seq: last?.seq ?? 0 }
	}

	/**
	 * Resolves to true if the handler accepted the record or the filter excluded it, and to false if the
	 * consumer was closed first.
	 */
	async #isDealtWith(record: LogRecord): Promise<boolean> {
		if (!matches(record, this.#options.filter)) {
			this.#counts.filtered++
			return true
		}
		const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
		for (let left = this.#options.retries; ; left--) {
			try {
				const result = this.#handler(record)
				if (isThenable(result)) await this.#answer.wait(result)
				this.#handlerError = undefined
				break
			} catch (error) {
				if (isInstance(error, Overdue)) throw this.#overdue(record)
				this.#counts.failures++
				if (this.#handlerError === undefined) this.#tell(record, error)
				this.#handlerError = messageOf(error)
				if (left === 0) throw this.#givenUp(record, error)
			}
			if (this.#over.signal.aborted) return false
			await wait(backoff.next(), this.#over.signal)
			if (this.#over.signal.aborted) return false
		}
		if (isGap(record)) {
			this.#counts.gaps++
			const { fromSeq = record.seq, toSeq = record.seq } = record.data ?? {}
			this.#counts.absent += Math.max(0, toSeq - Math.max(fromSeq - 1, this.#cursor.seq))
		} else this.#counts.handled++
		return true
	}

	/** Saves the cursor, one save at a time. A failed save is retried later. */
	#save(): Promise<void> {
		this.#schedule.cancel()
		this.#saving ??= this.#saveNow().finally(() => {
			this.#saving = undefined
			// Records were handled during the save, or the save failed.
			if (this.#unsaved > 0) this.#schedule.later()
		})
		return this.#saving
	}

	async #saveNow(): Promise<void> {
		const unsaved = this.#unsaved
		const handled = this.#handled
		try {
			await this.#file.save(this.#cursor)
			this.#unsaved -= unsaved
			this.#savedHandled = handled
			this.#counts.saves++
			this.#saveError = undefined
		} catch (error) {
			this.#counts.saveFailures++
			if (this.#saveError === undefined) warn('CURSOR_FAILING', messageOf(error))
			this.#saveError = error as MeshChainError
		}
	}

	#tell(record: LogRecord, error: unknown): void {
		const text = `the consumer ${show(this.name)} failed at seq ${record.seq}: ${messageOf(error)}`
		warn('CONSUMER_FAILING', `${text}; the consumer retries this record, and later records wait`)
	}

	#overdue({ seq }: LogRecord): MeshChainError {
		const late = `its handler did not finish within ${this.#options.closeTimeoutMs} ms`
		const text = `the consumer ${show(this.name)} was closed, and ${late}: seq ${seq} will be handled again`
		return new MeshChainError('CLOSE_FAILED', text, { path: this.#chain.path, seq })
	}

	#givenUp(record: LogRecord, error: unknown): MeshChainError {
		return new MeshChainError(
			'CONSUMER_FAILED',
			`the consumer ${show(this.name)} gave up at seq ${record.seq}: ${messageOf(error)}`,
			{ path: this.#chain.path, seq: record.seq, cause: error },
		)
	}
}
