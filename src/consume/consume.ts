/** Processes each record of a chain once it is committed, in order, and goes on after a crash where it was. */
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

export interface ConsumerStats {
	/** Records that the handler has dealt with, gaps not counted. */
	readonly handled: number
	/** Records that the filter passed over. */
	readonly filtered: number
	/** Gaps handed on, and the records behind the cursor that they stand for. */
	readonly gaps: number
	readonly absent: number
	/** Times that the handler threw or rejected. */
	readonly failures: number
	/** Times that the cursor was saved, and that it could not be. */
	readonly saves: number
	readonly saveFailures: number
	/** Seqs that the cursor was set back at the start: a power loss took those records, and others have their seqs. */
	readonly setBack: number
	/** Of the handler or the cursor; undefined once it works again. */
	readonly lastError: string | undefined
}

/** A named reader of a chain that is under way. */
export interface Consumer extends AsyncDisposable {
	readonly name: string
	/** The last record that was dealt with, in memory; what is on disk may be behind by `saveRecords`. */
	readonly cursor: ConsumerCursor
	/** Resolves when the consumer was closed; rejects when it ended by itself. */
	readonly done: Promise<void>
	/** How many seqs the chain is ahead of the cursor. */
	lag(): Promise<number>
	stats(): ConsumerStats
	/**
	 * Waits for the record under way, at most `closeTimeoutMs`, saves the cursor and lets go of it; the chain stays open. Idempotent.
	 *
	 * @throws {MeshChainError} what `done` rejects with, `CLOSE_FAILED` when the handler took too long; `CURSOR_FAILED` when the cursor could not be saved.
	 */
	close(): Promise<void>
}

/**
 * Hands each record of a chain to a handler, in order and one at a time: first those that are there, then those that come, each once
 * it is committed. How far it has come is kept on disk beside the chain, so that a consumer of the same name goes on there.
 *
 * At least once: after a crash, up to `saveRecords` records come again. Whoever wants each exactly once stores the identity,
 * `(chainId, epoch, seq)`, with the result, in one transaction. A record that the handler does not take is tried again, and nothing
 * comes before it. `$gap`s are handed on too.
 *
 * @param chain one with a file of its own, no merged one.
 * @param name of the cursor: 1 to 64 letters, digits, `-` and `_`. One consumer of a name runs at a time.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `CURSOR_IN_USE`, `CURSOR_MISMATCH`, `CURSOR_DAMAGED`, `CURSOR_FAILED`.
 *
 * @example
 * ```ts
 * import { consume, openChain } from 'mesh-chain'
 *
 * await using chain = await openChain('node.chain')
 * const consumer = consume(chain, 'mailer', async (record) => console.log(record.seq, record.message), { kind: 'order' })
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

/** The handler took too long over its record when the consumer was closed. */
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
	/** The seq behind which it begins; rejects where `done` does. */
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
	/** Records that the saved cursor does not know of. */
	#unsaved = 0
	/** Of those that were dealt with: what the filter passes over costs nothing when it comes again. */
	#savedHandled = 0
	#saving: Promise<void> | undefined
	/** Nothing more will be dealt with: what is unsaved is saved once more, and not later. */
	#isEnding = false
	#saveTimer: NodeJS.Timeout | undefined
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
		this.#beginning = this.#begin()
		this.done = this.#run()
		// Whoever does not look at it hears of it by the warning.
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
			const { durableOnly, pollMs } = this.#options
			const records = this.#chain.tail({
				afterSeq,
				durableOnly,
				...defined({ pollMs }),
				signal: this.#over.signal,
			})
			for await (const record of records) {
				if (this.#over.signal.aborted || !(await this.#isDealtWith(record))) break
				this.#cursor = { epoch: Math.max(record.epoch, this.#cursor.epoch), seq: record.seq }
				this.#unsaved++
				if (this.#handled - this.#savedHandled >= this.#options.saveRecords) await this.#save()
				else this.#saveLater()
			}
		} catch (error) {
			warn('CONSUMER_ENDED', `the consumer ${show(this.name)} has ended: ${messageOf(error)}`)
			throw error
		} finally {
			this.#isEnding = true
			clearTimeout(this.#saveTimer)
			await this.#saving
			if (this.#unsaved > 0 || !this.#file.isKept) await this.#save()
			this.#file.close()
		}
	}

	/** The seq behind which it begins; on disk before anything is handed out, so that it begins there once. */
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

	/** Where a consumer begins that has no cursor yet. */
	async #first(): Promise<ConsumerCursor> {
		const last = this.#options.from === 'end' ? await lastUpTo(this.#chain) : undefined
		return { epoch: last?.epoch ?? 0, seq: last?.seq ?? 0 }
	}

	/** False when it was closed before the handler took the record. */
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

	/** One at a time; what failed is tried again with the next one. */
	#save(): Promise<void> {
		clearTimeout(this.#saveTimer)
		this.#saveTimer = undefined
		this.#saving ??= this.#saveNow().finally(() => {
			this.#saving = undefined
			this.#saveLater()
		})
		return this.#saving
	}

	/** What came while it was saved, or could not be saved, is not left to whatever comes next. */
	#saveLater(): void {
		if (this.#unsaved === 0 || this.#isEnding) return
		this.#saveTimer ??= setTimeout(() => void this.#save(), this.#options.saveMs)
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
		warn(
			'CONSUMER_FAILING',
			`the consumer ${show(this.name)} failed at seq ${record.seq}: ${messageOf(error)}; it tries again, and nothing passes by`,
		)
	}

	#overdue({ seq }: LogRecord): MeshChainError {
		const text = `the consumer ${show(this.name)} was closed, and its handler did not end within ${this.#options.closeTimeoutMs} ms: seq ${seq} comes again`
		return new MeshChainError('CLOSE_FAILED', text, { path: this.#chain.path, seq })
	}

	#givenUp(record: LogRecord, error: unknown): MeshChainError {
		return new MeshChainError(
			'CONSUMER_FAILED',
			`the consumer ${show(this.name)} has given up at seq ${record.seq}: ${messageOf(error)}`,
			{ path: this.#chain.path, seq: record.seq, cause: error },
		)
	}
}
