/** State that follows a live chain, and is there again after a crash: each record is folded into it exactly once. */
import { type Chain, checkFollowable } from '../chain/index.ts'
import { Abandonable, isThenable } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { codeOf } from '../guard/values.ts'
import { checkFileOption, checkFileSystem, checkFunction, checkWholeNumber } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	optional,
	timerMs,
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
import { SnapshotFile } from './snapshot-file.ts'

export interface ProjectOptions {
	/** The state is saved after so many records, default 1,000: as many are folded again after a crash. */
	saveRecords?: number
	/** It is saved at the latest after so many milliseconds, default 1,000. */
	saveMs?: number
	/** How often to look for more when the system gives no hint. Default 200 ms. */
	pollMs?: number
	/**
	 * How long `close` waits for a fold that is under way. Then the projection ends with `CLOSE_FAILED`, and goes on from what was saved. Default 10,000 ms.
	 */
	closeTimeoutMs?: number
	/** Where the snapshot lies. Default: beside the chain, `CHAIN.NAME.projection`. */
	path?: string
	fs?: FileSystem
}

export interface Projection<S> extends AsyncDisposable {
	readonly name: string
	/** Behind the last record that was folded. */
	readonly state: S
	/** That record; 0 for none. */
	readonly seq: number
	/** Records that are absent from the chain, and so from the state: since the first record, restarts or not. 0: the state is complete. */
	readonly absent: number
	/** Resolves when it was closed; rejects when it ended by itself. */
	readonly done: Promise<void>
	/**
	 * Resolves once the record with this seq, or a later one, is folded; rejects when the projection ends before.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`; `CONSUMER_FAILED` when it was closed; what `done` rejects with.
	 */
	reached(seq: number): Promise<S>
	/**
	 * Waits for a fold that is under way, at most `closeTimeoutMs`, saves the state and lets go. Idempotent.
	 *
	 * @throws {MeshChainError} what `done` rejects with; `CLOSE_FAILED` when the fold took too long.
	 */
	close(): Promise<void>
}

/**
 * Folds every record of a chain but mesh-chain's own into a state, first those that are there, then those that come, and saves state and
 * place together, beside the chain. A projection of the same name goes on there. What was folded from records that a power loss took is not
 * in it: where that happened, it is made again from the first record.
 *
 * @param chain one with a file of its own, no merged one.
 * @param name 1 to 64 letters, digits, `-` and `_`. One projection of a name runs at a time.
 * @param fold what it returns, or resolves to, is the next state, which must be data.
 * @param initial the state before the first record. The fold gets a copy and may change it.
 * @throws {MeshChainError} `INVALID_OPTION`, `CURSOR_IN_USE`, `CURSOR_FAILED`; by `done` also `CURSOR_MISMATCH`, `CURSOR_DAMAGED`,
 * `CONSUMER_FAILED` when `fold` throws.
 *
 * @example
 * ```ts
 * import { openChain } from 'mesh-chain'
 * import { project } from 'mesh-chain/recorder'
 *
 * await using chain = await openChain('node.chain')
 * const orders = project(chain, 'orders', (count, record) => count + (record.kind === 'order' ? 1 : 0), 0)
 * console.log(orders.state)
 * await orders.close()
 * ```
 */
export function project<S>(
	chain: Chain,
	name: string,
	fold: (state: S, record: LogRecord) => S | Promise<S>,
	initial: S,
	options: ProjectOptions = {},
): Projection<S> {
	checkFollowable('a projection needs a chain', chain)
	checkLockName('projection', name)
	checkFunction('a fold', fold)
	const { fs, path = `${chain.path}.${name}.projection`, ...resolved } = PROJECT_OPTIONS.resolve(options)
	const file = new SnapshotFile<S>(fs, path, chain.chainId)
	return new ChainProjection(chain, name, fold, initial, { ...resolved, file })
}

const PROJECT_OPTIONS = defineOptions({
	saveRecords: withDefault(1000, wholeNumber(1)),
	saveMs: withDefault(1000, timerMs()),
	pollMs: withDefault(200, timerMs()),
	closeTimeoutMs: withDefault(DRAIN_TIMEOUT_MS_DEFAULT, timerMs()),
	path: optional(checkFileOption),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<ProjectOptions>)

interface Resolved<S> {
	readonly saveRecords: number
	readonly saveMs: number
	readonly pollMs: number
	readonly closeTimeoutMs: number
	readonly file: SnapshotFile<S>
}

class ChainProjection<S> implements Projection<S> {
	readonly name: string
	readonly done: Promise<void>
	readonly #chain: Chain
	readonly #fold: (state: S, record: LogRecord) => S | Promise<S>
	readonly #options: Resolved<S>
	readonly #over = new AbortController()
	readonly #next = new Abandonable()
	readonly #waiting = new Set<{ readonly seq: number; readonly resolve: () => void }>()
	#state: S
	#epoch = 0
	#seq = 0
	#absent = 0
	#unsaved = 0
	#saveTimer: NodeJS.Timeout | undefined
	#saveError: unknown
	#isFolding = false
	#isSaveDue = false

	constructor(
		chain: Chain,
		name: string,
		fold: (state: S, record: LogRecord) => S | Promise<S>,
		initial: S,
		options: Resolved<S>,
	) {
		this.name = name
		this.#chain = chain
		this.#fold = fold
		this.#state = copyOfInitial(initial)
		this.#options = options
		this.done = this.#run()
		// Whoever does not look at it hears of it by the warning.
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
		const text = `the projection ${show(this.name)} was closed, and its fold did not end within ${closeTimeoutMs} ms`
		const overdue = new MeshChainError('CLOSE_FAILED', text)
		const timer = setTimeout(() => this.#next.abandon(overdue), closeTimeoutMs)
		await this.done.finally(() => clearTimeout(timer))
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	async #run(): Promise<void> {
		const { file, saveRecords, saveMs, pollMs } = this.#options
		try {
			const afterSeq = await this.#begin()
			for await (const record of this.#chain.tail({ afterSeq, pollMs, signal: this.#over.signal })) {
				// A fold that takes its time may have changed the state half-way: it is saved between two records only.
				this.#isFolding = true
				await this.#take(record)
				this.#isFolding = false
				if (++this.#unsaved >= saveRecords || this.#isSaveDue) this.#save()
				else this.#saveTimer ??= setTimeout(() => this.#save(), saveMs)
				if (this.#over.signal.aborted) break
			}
			if (this.#unsaved > 0 || !file.isKept) this.#save()
			if (this.#saveError !== undefined) throw this.#saveError
		} catch (error) {
			warn('CONSUMER_ENDED', `the projection ${show(this.name)} has ended: ${messageOf(error)}`)
			throw error
		} finally {
			clearTimeout(this.#saveTimer)
			file.close()
		}
	}

	async #begin(): Promise<number> {
		const found = this.#options.file.read()
		if (found === undefined) return 0
		const afterSeq = await resumeAfter(this.#chain, found)
		// What is in the state never was, as far as the chain goes.
		if (afterSeq < found.seq) return 0
		this.#state = found.state
		this.#absent = found.absent
		this.#moveTo(found.epoch, found.seq)
		return afterSeq
	}

	async #take(record: LogRecord): Promise<void> {
		if (isGap(record)) this.#absent += absentBehind(this.#seq, record)
		else if (!isOwnKind(record.kind)) {
			try {
				const next = this.#fold(this.#state, record)
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

	/** A disk that fails is told of once, and tried again. */
	#save(): void {
		clearTimeout(this.#saveTimer)
		this.#saveTimer = undefined
		this.#isSaveDue = this.#isFolding
		if (this.#isSaveDue) return
		try {
			const place = { epoch: this.#epoch, seq: this.#seq, absent: this.#absent }
			this.#options.file.write({ ...place, state: this.#state })
			this.#unsaved = 0
			this.#saveError = undefined
		} catch (error) {
			if (this.#saveError === undefined) warn('CURSOR_FAILING', messageOf(error))
			this.#saveError = error
			if (!this.#over.signal.aborted) this.#saveTimer = setTimeout(() => this.#save(), this.#options.saveMs)
		}
	}
}

/** How many records of a gap are behind a seq: it may begin before what was folded already. */
function absentBehind(seq: number, { data }: LogRecord<'$gap', GapData>): number {
	return data === undefined ? 0 : Math.max(0, Math.min(data.count, data.toSeq - seq))
}
