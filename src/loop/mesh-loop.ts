/** The loop as users see it, and its children. All work is done by the core that they share. */
import type { LogChainAppender } from '../appender.ts'
import { NoOpAppender } from '../appenders/no-op.ts'
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
import { coreOf, ScopedCore, setCore } from './core-of.ts'
import type { Listener } from './listeners.ts'
import { LoopCore } from './loop-core.ts'
import { type MeshLoopOptions, resolveLoopOptions, type ScopeFields } from './options.ts'
import { Scope } from './scope.ts'
import type { LoopStats } from './stats.ts'

const NO_FIELDS: Fields = Object.freeze({})

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
	/**
	 * The appender, {@link NoOpAppender} unless given, belongs to this loop from here on.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_ID`, `APPENDER_IN_USE`
	 */
	constructor(appender: LogChainAppender = new NoOpAppender(), options: MeshLoopOptions = {}) {
		const resolved = resolveLoopOptions(options)
		setCore(this, new ScopedCore(new LoopCore(this, appender, resolved), Scope.root(resolved.level), true))
	}

	/**
	 * Publishes one line. undefined for a line below the level, one that `transform` dropped, or one after close; each
	 * has its counter in {@link stats}.
	 *
	 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_LEVEL`, `INVALID_KIND`, `INVALID_ID`, `INVALID_TIME`: misuse,
	 * found before anything is stamped.
	 */
	publish(line: LogLine): LogRecord | undefined {
		const { core, scope } = coreOf(this)
		return core.publish(line, scope)
	}

	/**
	 * Publishes lines as one: after a crash all of them are in the chain or none, where the appender can do so, and an
	 * appender that refuses them refuses all. Lines that {@link publish} would not publish are left out of the result.
	 *
	 * @throws {MeshChainError} `BATCH_TOO_LARGE` above 1,024 records, 1 MiB or what the ring holds, and whatever
	 * `publish` throws; then nothing was stamped.
	 */
	publishBatch(lines: readonly LogLine[]): LogRecord[] {
		const { core, scope } = coreOf(this)
		return core.publishBatch(lines, scope)
	}

	trace(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return log(this, 'trace', message, data, fields)
	}

	debug(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return log(this, 'debug', message, data, fields)
	}

	info(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return log(this, 'info', message, data, fields)
	}

	warn(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return log(this, 'warn', message, data, fields)
	}

	/** With a `FileChainAppender`, such a record is written before this returns. */
	error(message: string, data?: unknown, fields?: Fields): LogRecord | undefined {
		return log(this, 'error', message, data, fields)
	}

	/** Publishes `data` under a kind; level `info` and the kind as message unless `fields` says otherwise. */
	emit<K extends keyof E & string>(
		kind: K,
		data: E[K],
		fields?: Fields & { readonly level?: LogLevel; readonly message?: string },
	): LogRecord | undefined {
		const { core, scope } = coreOf(this)
		if (!core.wants(fields?.level ?? 'info', scope)) return undefined
		return core.publish({ ...fields, kind, data }, scope)
	}

	/**
	 * Calls `listener` with each record of a kind, or with all of them for `'*'`, from now on and synchronously. Listeners
	 * of the kind come before those of `'*'`. What a listener publishes is delivered after the record it was called with, within
	 * `nestedDepthMax` and `nestedDeliveriesMax`. A listener that throws or rejects harms nobody; it is counted and reported.
	 *
	 * @throws {MeshChainError} `INVALID_KIND`, `INVALID_USAGE`
	 */
	on<K extends keyof E & string>(kind: K | '*', listener: (record: LogRecord<K, E[K]>) => void): this {
		coreOf(this).core.listeners.on(kind, listener as Listener)
		return this
	}

	/** As {@link on}, for the next record only. */
	once<K extends keyof E & string>(kind: K | '*', listener: (record: LogRecord<K, E[K]>) => void): this {
		coreOf(this).core.listeners.once(kind, listener as Listener)
		return this
	}

	/** Takes a listener out again, however often it was given for this kind. */
	off<K extends keyof E & string>(kind: K | '*', listener: (record: LogRecord<K, E[K]>) => void): this {
		coreOf(this).core.listeners.off(kind, listener as Listener)
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
		const { core, scope } = coreOf(this)
		const child: MeshLoop<E> = Object.create(MeshLoop.prototype)
		setCore(child, new ScopedCore(core, scope.child(fields), false))
		return child
	}

	/** Lines below it are counted, and not built. */
	get level(): LogLevel {
		return coreOf(this).scope.level
	}

	/** @throws {MeshChainError} `INVALID_LEVEL` */
	set level(level: LogLevel) {
		coreOf(this).scope.setLevel(level)
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
		return coreOf(this).core.snapshot(filter)
	}

	/**
	 * The records published from now on that match, at the consumer's pace. There is no queue behind it: what left the ring
	 * before the consumer came by shows as one `$gap` record (`lagged`). Ends when the loop is closed and the ring is read.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`, at once.
	 */
	subscribe(filter?: LogFilter): AsyncIterableIterator<LogRecord, undefined> {
		return coreOf(this).core.subscribe(filter)
	}

	/** Every record up to this one survives what the appender's `durability` names, or was counted lost. */
	get committedSeq(): number {
		return coreOf(this).core.committedSeq
	}

	/** What happened so far, in figures. */
	stats(): LoopStats {
		return coreOf(this).core.stats()
	}

	/**
	 * Returns once everything published is with the operating system.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED`, with the first `seq` that is not; also once after a record was lost.
	 */
	flush(): void {
		coreOf(this).core.flush()
	}

	/**
	 * Resolves once everything published before this call is on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`, with the first `seq` that is not; also once after a record was lost.
	 */
	sync(): Promise<void> {
		return coreOf(this).core.sync()
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
		return coreOf(this).close()
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.close()
	}
}

/**
 * Publishes a line of a level method. Its fields are set one by one and always all of them: a spread would give each
 * line another shape, and V8 compiles for one.
 */
function log(
	loop: object,
	level: LogLevel,
	message: string,
	data: unknown,
	fields: Fields | undefined,
): LogRecord | undefined {
	const { core, scope } = coreOf(loop)
	if (!core.wants(level, scope)) return undefined
	const { daemonId, nodeId, tsMs } = fields ?? NO_FIELDS
	return core.publish({ level, message, data, daemonId, nodeId, tsMs } as LogLine, scope)
}
