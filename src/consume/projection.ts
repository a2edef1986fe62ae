/**
 * Maintains a state that follows a live chain and survives a crash. Each record is folded into the state
 * exactly once.
 */
import { type Chain, checkFollowable } from '../chain/index.ts'
import { Abandonable, isThenable } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { codeOf } from '../guard/values.ts'
import { checkFileOption, checkFileSystem, checkFunction, checkWholeNumber } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	optional,
	required,
	timerMs,
	unchecked,
	wholeNumber,
	withDefault,
} from '../model/define-options.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { DRAIN_TIMEOUT_MS_DEFAULT } from '../model/limits.ts'
import { type GapData, isGap, isOwnKind, type LogRecord } from '../model/record.ts'
import { warn } from '../platform/diagnostics.ts'
import { type FileSystem, nodeFileSystem } from '../platform/file-system.ts'
import { copyOfInitial } from './initial-state.ts'
import { checkLockName } from './name-lock.ts'
import { resumeAfter } from './resume.ts'
import { SaveSchedule } from './save-schedule.ts'
import { SnapshotFile } from './snapshot-file.ts'

/** Options for a projection. */
export interface ProjectOptions<S> {
	/**
	 * Function that returns the next state, or a promise of the next state. It is called for each record in
	 * order, except for mesh-chain's own records.
	 */
	readonly fold: (state: S, record: LogRecord) => S | Promise<S>
	/** State before the first record. The fold receives a copy and may modify it. */
	readonly initial: S
	/**
	 * Number of records after which the state is saved. After a crash, about this many records may be folded
	 * again. Default: 1,000.
	 */
	readonly saveIntervalRecords?: number | undefined
	/** Maximum time before the state is saved. Default: 1,000 ms. */
	readonly saveIntervalMs?: number | undefined
	/**
	 * Interval between checks for new records when the operating system does not report changes. Default: 200
	 * ms.
	 */
	readonly pollIntervalMs?: number | undefined
	/**
	 * Maximum time that `close` waits for a running fold. If the wait times out, the projection ends with
	 * `CLOSE_FAILED`, and the next projection resumes from the saved state. Default: 10,000 ms.
	 */
	readonly closeTimeoutMs?: number | undefined
	/** Path of the snapshot. Default: `CHAIN.NAME.projection`, next to the chain. */
	readonly path?: string | undefined
	/** File system for the snapshot. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

/** A running projection: a state that follows a chain. */
export interface Projection<S> extends AsyncDisposable {
	/** Name of the projection. */
	readonly name: string
	/** State after the last folded record. */
	readonly state: S
	/** Seq of the last folded record; 0 before the first one. */
	readonly seq: number
	/**
	 * Number of records up to `seq` that are absent from the chain, and therefore not part of the state; 0 for
	 * a complete state.
	 */
	readonly absent: number
	/** Resolves when the projection is closed; rejects if it ends because of an error. */
	readonly done: Promise<void>
	/**
	 * Resolves to the state when the record with this seq, or a later record, has been folded.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`, `CONSUMER_FAILED` if the projection is closed first, or the
	 * error that `done` rejects with.
	 */
	reached(seq: number): Promise<S>
	/**
	 * Waits up to `closeTimeoutMs` for a running fold, then saves the state and releases its lock. Idempotent.
	 *
	 * @throws {MeshChainError} The error that `done` rejects with, or `CLOSE_FAILED` if the fold takes too
	 * long.
	 */
	close(): Promise<void>
}

/**
 * Folds every record of a chain into a state, except mesh-chain's own records: first the existing records,
 * and then new records. The state and the position are saved together in a file next to the chain, and a
 * projection with the same name resumes from this file. If a power loss removed records that were already
 * folded, the projection starts again from the first record.
 *
 * @param chain Chain to fold. It must have its own file, so a merged chain is refused.
 * @param name Name of the projection: 1 to 64 letters, digits, `-` and `_`. At most one projection with a
 * given name runs at a time.
 * @throws {MeshChainError} `INVALID_OPTION`, `CURSOR_IN_USE`, `CURSOR_FAILED`. `done` can also reject with
 * `CURSOR_MISMATCH`, `CURSOR_DAMAGED`, `INVALID_STATE` for a state that is not plain data, and
 * `CONSUMER_FAILED` if `fold` throws or rejects.
 *
 * @example
 * ```ts
 * import { openChain } from 'mesh-chain'
 * import { project } from 'mesh-chain/consume'
 *
 * await using chain = await openChain('node.chain')
 * const orders = project(chain, 'orders', {
 *   initial: 0,
 *   fold: (count, record) => count + (record.kind === 'order' ? 1 : 0),
 * })
 * console.log(orders.state)
 * await orders.close()
 * ```
 */
export function project<S>(chain: Chain, name: string, options: ProjectOptions<S>): Projection<S> {
	checkFollowable('a projection needs a chain', chain)
	checkLockName('projection', name)
	const { fs, path = `${chain.path}.${name}.projection`, ...rest } = PROJECT_OPTIONS.resolve(options)
	// The option rules do not preserve the type of the state.
	const { fold, initial } = options
	const file = new SnapshotFile<S>(fs, path, chain.chainId)
	return new ChainProjection(chain, name, { ...rest, fold, initial, file })
}

const PROJECT_OPTIONS = defineOptions({
	fold: required<ProjectOptions<unknown>['fold']>((name, fold) => checkFunction(name, fold as never)),
	initial: unchecked<unknown>(),
	saveIntervalRecords: withDefault(1000, wholeNumber(1)),
	saveIntervalMs: withDefault(1000, timerMs()),
	pollIntervalMs: withDefault(200, timerMs()),
	closeTimeoutMs: withDefault(DRAIN_TIMEOUT_MS_DEFAULT, timerMs()),
	path: optional(checkFileOption),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<ProjectOptions<unknown>>)

interface ResolvedProjectOptions<S> {
	readonly fold: (state: S, record: LogRecord) => S | Promise<S>
	readonly initial: S
	readonly saveIntervalRecords: number
	readonly saveIntervalMs: number
	readonly pollIntervalMs: number
	readonly closeTimeoutMs: number
	readonly file: SnapshotFile<S>
}

class ChainProjection<S> implements Projection<S> {
	readonly name: string
	readonly done: Promise<void>
	readonly #chain: Chain
	readonly #options: ResolvedProjectOptions<S>
	readonly #schedule: SaveSchedule
	readonly #over = new AbortController()
	readonly #next = new Abandonable()
	readonly #waiting = new Set<{ readonly seq: number; readonly resolve: () => void }>()
	#state: S
	#epoch = 0
	#seq = 0
	#absent = 0
	#unsaved = 0
	#saveError: unknown
	#isFolding = false
	#isSaveDue = false

	constructor(chain: Chain, name: string, options: ResolvedProjectOptions<S>) {
		this.name = name
		this.#chain = chain
		this.#state = copyOfInitial(options.initial)
		this.#options = options
		this.#schedule = new SaveSchedule(options, () => this.#save())
		this.done = this.#run()
		// A caller may ignore `done`, because a warning also reports the failure.
		this.done.catch(() => {})
	}

	get state(): S {
		return this.#state
	}

	get seq(): number {
		return this.#seq
	}

	get absent(): number {
		return this.#absent
	}

	async reached(seq: number): Promise<S> {
		checkWholeNumber('seq', seq, 0)
		if (this.#seq < seq) {
			let waiter: { readonly seq: number; readonly resolve: () => void } | undefined
			const arrived = new Promise<void>((resolve) => {
				waiter = { seq, resolve }
				this.#waiting.add(waiter)
			})
			const ended = this.done.then(() => {
				throw new MeshChainError(
					'CONSUMER_FAILED',
					`the projection ${show(this.name)} was closed at seq ${this.#seq}`,
				)
			})
			await Promise.race([arrived, ended]).finally(() => this.#waiting.delete(waiter!))
		}
		return this.#state
	}

	async close(): Promise<void> {
		this.#over.abort()
		const { closeTimeoutMs } = this.#options
		const text = `the projection ${show(this.name)} was closed, and its fold did not finish within`
		const overdue = new MeshChainError('CLOSE_FAILED', `${text} ${closeTimeoutMs} ms`)
		const timer = setTimeout(() => this.#next.abandon(overdue), closeTimeoutMs)
		await this.done.finally(() => clearTimeout(timer))
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	async #run(): Promise<void> {
		const { file, pollIntervalMs } = this.#options
		try {
			const afterSeq = await this.#begin()
			for await (const record of this.#chain.tail({ afterSeq, pollIntervalMs, signal: this.#over.signal })) {
				// An asynchronous fold may leave the state partly modified while it runs, so the state is saved only
				// between two records.
				this.#isFolding = true
				await this.#take(record)
				this.#isFolding = false
				if (this.#schedule.isDue(++this.#unsaved) || this.#isSaveDue) this.#save()
				else this.#schedule.later()
				if (this.#over.signal.aborted) break
			}
			if (this.#unsaved > 0 || !file.isKept) this.#save()
			if (this.#saveError !== undefined) throw this.#saveError
		} catch (error) {
			warn('CONSUMER_ENDED', `the projection ${show(this.name)} has ended: ${messageOf(error)}`)
			throw error
		} finally {
			this.#schedule.stop()
			file.close()
		}
	}

	async #begin(): Promise<number> {
		const found = this.#options.file.read()
		if (found === undefined) return 0
		const afterSeq = await resumeAfter(this.#chain, found)
		// The saved state includes records that the chain has lost.
		if (afterSeq < found.seq) return 0
		this.#state = found.state
		this.#absent = found.absent
		this.#moveTo(found.epoch, found.seq)
		return afterSeq
	}

	async #take(record: LogRecord): Promise<void> {
		if (isGap(record)) this.#absent += absentAfter(this.#seq, record)
		else if (!isOwnKind(record.kind)) {
			try {
				const next = this.#options.fold(this.#state, record)
				this.#state = isThenable(next) ? ((await this.#next.wait(next)) as S) : next
			} catch (error) {
				if (codeOf(error) === 'CLOSE_FAILED' && this.#over.signal.aborted) throw error
				const text = `the projection ${show(this.name)} could not fold seq ${record.seq}: ${messageOf(error)}`
				throw new MeshChainError('CONSUMER_FAILED', text, { seq: record.seq, cause: error })
			}
		}
		this.#moveTo(Math.max(this.#epoch, record.epoch), record.seq)
	}

	#moveTo(epoch: number, seq: number): void {
		this.#epoch = epoch
		this.#seq = seq
		for (const waiter of this.#waiting) if (waiter.seq <= seq) waiter.resolve()
	}

	/**
	 * Saves the state. During a fold, the save is postponed until the fold has finished. A failure is reported
	 * once, and the save is retried.
	 */
	#save(): void {
		this.#schedule.cancel()
		this.#isSaveDue = this.#isFolding
		if (this.#isSaveDue) return
		try {
			const position = { epoch: this.#epoch, seq: this.#seq, absent: this.#absent }
			this.#options.file.write({ ...position, state: this.#state })
			this.#unsaved = 0
			this.#saveError = undefined
		} catch (error) {
			if (this.#saveError === undefined) warn('CURSOR_FAILING', messageOf(error))
			this.#saveError = error
			if (!this.#over.signal.aborted) this.#schedule.later()
		}
	}
}

/** Returns how many of the records in a gap come after a seq. The gap may start at or before that seq. */
function absentAfter(seq: number, { data }: LogRecord<'$gap', GapData>): number {
	return data === undefined ? 0 : Math.max(0, Math.min(data.count, data.toSeq - seq))
}
