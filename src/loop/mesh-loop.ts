/** The loop as users see it, and its children. All work is done by the core that they share. */
import type { LogChainAppender } from '../appender.ts'
import { NoOpAppender } from '../appenders/no-op.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogFilter } from '../model/filter.ts'
import { checkLevel } from '../model/line-check.ts'
import {
	type EventMap,
	type Fields,
	type LogLevel,
	type LogLine,
	type LogRecord,
	levelIndex,
} from '../model/record.ts'
import type { Listener } from './listeners.ts'
import { LoopCore } from './loop-core.ts'
import { type MeshLoopOptions, resolveLoopOptions, type ScopeFields } from './options.ts'
import type { KeepBelow } from './record-builder.ts'
import { Scope } from './scope.ts'
import type { LoopStats } from './stats.ts'

const NO_FIELDS: Fields = Object.freeze({})

/** A loop's insides, passed to a child in place of an appender. */
class ChildOf {
	readonly core: LoopCore
	readonly scope: Scope

	constructor(core: LoopCore, scope: Scope) {
		this.core = core
		this.scope = scope
	}
}

let publishThrough: (loop: MeshLoop, line: LogLine) => LogRecord | undefined

/**
 * Publishes a line of mesh-chain's own: its kind may start with `$`, no level holds it back, and what `context` and
 * a child would add to its data stays out. Not part of the public face.
 */
export function publishOwn(loop: MeshLoop, line: LogLine): LogRecord | undefined {
	return publishThrough(loop, line)
}

/**
 * @param wanted who needs a loop, in a message.
 * @throws {MeshChainError} `INVALID_OPTION` for what is no loop of this very package.
 */
export function checkLoop(wanted: string, loop: unknown): void {
	if (loop instanceof MeshLoop) return
	throw new MeshChainError('INVALID_OPTION', `${wanted}, not ${show(loop)}: new MeshLoop() makes one`)
}

let keepThrough: (loop: MeshLoop, keep: KeepBelow) => () => void

/**
 * Hands on the lines that a level holds back, of a loop and its children, as the records that they would have been, without a seq.
 * Returns the undo. Not part of the public face.
 *
 * @throws {MeshChainError} `INVALID_USAGE` for a loop whose lines somebody keeps already.
 */
export function keepBelow(loop: MeshLoop, keep: KeepBelow): () => void {
	return keepThrough(loop, keep)
}

let nowThrough: (loop: MeshLoop) => number

/** The time by a loop's clock. Not part of the public face. */
export function nowOf(loop: MeshLoop): number {
	return nowThrough(loop)
}

/**
 * An event bus whose every event is kept: in a bounded ring for now, and through its appender for ever.
 *
 * `publish`, and everything else that publishes, is synchronous. When it returns, the record is stamped, in the ring, and
 * in the appender's custody unless earlier records are still pending. No appender, listener or hook that fails ever throws
 * into a publisher; only misuse does, before anything is stamped.
 *
 * @example
 * ```ts
 * import { BufferingAppender, MeshLoop } from 'mesh-chain'
 *
 * const loop = new MeshLoop(new BufferingAppender())
 * loop.on('order', (record) => console.log(record.data))
 * loop.emit('order', { id: 7 })
 * loop.warn('stock is low', { left: 3 })
 * await loop.close()
 * ```
 */
export class MeshLoop<E extends EventMap = EventMap> implements AsyncDisposable {
	static {
		publishThrough = (loop, line) => loop.#core.publish(line, loop.#scope, true)
		keepThrough = (loop, keep) => loop.#core.keepBelow(keep)
		nowThrough = (loop) => loop.#core.now()
	}

	readonly #core: LoopCore
	readonly #scope: Scope
	readonly #isRoot: boolean
	#childClosing: Promise<void> | undefined

	/**
	 * The appender, {@link NoOpAppender} unless given, belongs to this loop from here on.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_ID`, `APPENDER_IN_USE`
	 */
	constructor(appender?: LogChainAppender, options?: MeshLoopOptions)
	constructor(appender: LogChainAppender | ChildOf = new NoOpAppender(), options: MeshLoopOptions = {}) {
		this.#isRoot = !(appender instanceof ChildOf)
		if (appender instanceof ChildOf) {
			this.#core = appender.core
			this.#scope = appender.scope
			return
		}
		const resolved = resolveLoopOptions(options)
		this.#core = new LoopCore(this, appender, resolved)
		this.#scope = Scope.root(resolved.level)
	}

	/**
	 * Publishes one line. undefined for a line below the level, one that `transform` dropped, or one after close; each
	 * has its counter in {@link stats}.
	 *
	 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_LEVEL`, `INVALID_KIND`, `INVALID_ID`, `INVALID_TIME`: misuse,
	 * found before anything is stamped.
	 */
	publish(line: LogLine): LogRecord | undefined {
		return this.#core.publish(line, this.#scope)
	}

	/**
	 * Publishes lines as one: after a crash all of them are in the chain or none, where the appender can do so, and an
	 * appender that refuses them refuses all. Lines that {@link publish} would not publish are left out of the result.
	 *
	 * @throws {MeshChainError} `BATCH_TOO_LARGE` above 1,024 records, 1 MiB or what the ring holds, and whatever
	 * `publish` throws; then nothing was stamped.
	 */
	publishBatch(lines: readonly LogLine[]): LogRecord[] {
		return this.#core.publishBatch(lines, this.#scope)
	}

	trace(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return this.#log('trace', message, data, fields)
	}

	debug(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return this.#log('debug', message, data, fields)
	}

	info(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return this.#log('info', message, data, fields)
	}

	warn(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return this.#log('warn', message, data, fields)
	}

	/** With a `FileChainAppender`, such a record is written before this returns. */
	error(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return this.#log('error', message, data, fields)
	}

	/** Publishes `data` under a kind; level `info` and the kind as message unless `fields` says otherwise. */
	emit<K extends keyof E & string>(
		kind: K,
		data: E[K],
		fields?: Fields & { readonly level?: LogLevel; readonly message?: string },
	): LogRecord | undefined {
		if (!this.#core.wants(fields?.level ?? 'info', this.#scope)) return undefined
		return this.#core.publish({ ...fields, kind, data }, this.#scope)
	}

	/**
	 * Calls `listener` with each record of a kind, or with all of them for `'*'`, from now on and synchronously. Listeners
	 * of the kind come before those of `'*'`. What a listener publishes is delivered after the record it was called with, within
	 * `nestedDepthMax` and `nestedDeliveriesMax`. A listener that throws or rejects harms nobody; it is counted and reported.
	 *
	 * @throws {MeshChainError} `INVALID_KIND`, `INVALID_USAGE`
	 */
	on<K extends keyof E & string>(kind: K | '*', listener: (record: LogRecord<K, E[K]>) => void): this {
		this.#core.delivery.on(kind, listener as Listener)
		return this
	}

	/** As {@link on}, for the next record only. */
	once<K extends keyof E & string>(kind: K | '*', listener: (record: LogRecord<K, E[K]>) => void): this {
		this.#core.delivery.once(kind, listener as Listener)
		return this
	}

	/** Takes a listener out again, however often it was given for this kind. */
	off<K extends keyof E & string>(kind: K | '*', listener: (record: LogRecord<K, E[K]>) => void): this {
		this.#core.delivery.off(kind, listener as Listener)
		return this
	}

	/**
	 * A loop over the same ring, appender and listeners that adds fields to each line: ids and time where the line has
	 * none, `data` key by key (data that is no plain object goes under the key `data`). Its level follows this loop's until it is
	 * set. Closing it closes only it.
	 *
	 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_ID`, `INVALID_TIME`
	 */
	child(fields: ScopeFields): MeshLoop<E> {
		const insides = new ChildOf(this.#core, this.#scope.child(fields))
		return new MeshLoop<E>(insides as unknown as LogChainAppender)
	}

	/** Lines below it are counted, and not built. */
	get level(): LogLevel {
		return this.#scope.level
	}

	/** @throws {MeshChainError} `INVALID_LEVEL` */
	set level(level: LogLevel) {
		this.#scope.setLevel(level)
	}

	/** @throws {MeshChainError} `INVALID_LEVEL` */
	isLevelEnabled(level: LogLevel): boolean {
		return checkLevel(level) >= levelIndex(this.level)
	}

	/**
	 * The records of the ring that match, oldest first. Those that are not, or not yet, in the chain are copies with
	 * `chainPending`.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`
	 */
	snapshot(filter?: LogFilter): LogRecord[] {
		return this.#core.snapshot(filter)
	}

	/**
	 * The records published from now on that match, at the consumer's pace. There is no queue behind it: what left the ring
	 * before the consumer came by shows as one `$gap` record (`lagged`). Ends when the loop is closed and the ring is read.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`, at once.
	 */
	subscribe(filter?: LogFilter): AsyncIterableIterator<LogRecord, undefined> {
		return this.#core.subscribe(filter)
	}

	/** Every record up to this one survives what the appender's `durability` names, or was counted lost. */
	get committedSeq(): number {
		return this.#core.committedSeq
	}

	/** What happened so far, in figures. */
	stats(): LoopStats {
		return this.#core.stats()
	}

	/**
	 * Returns once everything published is with the operating system.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED`, with the first `seq` that is not; also once after a record was lost.
	 */
	flush(): void {
		this.#core.flush()
	}

	/**
	 * Resolves once everything published before this call is on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`, with the first `seq` that is not; also once after a record was lost.
	 */
	sync(): Promise<void> {
		return this.#core.sync()
	}

	/**
	 * Hands over what is pending, syncs and closes the appender, ends the subscriptions. Never waits for an appender that
	 * fails, nor longer than `closeTimeoutMs` for one that answers nothing. Idempotent. Lines published afterwards are counted and dropped. A
	 * child syncs, and closes only itself.
	 *
	 * @throws {MeshChainError} the first thing that went wrong, after everything else was done: `CLOSE_FAILED` when records
	 * were lost, and whatever the appender's `sync` and `close` reject with.
	 */
	close(): Promise<void> {
		this.#scope.closed = true
		if (this.#isRoot) return this.#core.close()
		this.#childClosing ??= this.#core.syncWithin()
		return this.#childClosing
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.close()
	}

	#log(level: LogLevel, message: string, data: unknown, fields: Fields | undefined): LogRecord | undefined {
		if (!this.#core.wants(level, this.#scope)) return undefined
		// Field by field and always the same fields: a spread has a new shape each time, and V8 compiles for one.
		const { daemonId, nodeId, tsMs } = fields ?? NO_FIELDS
		return this.#core.publish({ level, message, data, daemonId, nodeId, tsMs } as LogLine, this.#scope)
	}
}
