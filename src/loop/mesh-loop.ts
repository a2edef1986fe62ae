/** The loop as users see it, and its children. All work is done by the core that they share. */
import type { LogChainAppender } from '../appender.ts'
import { NoOpAppender } from '../appenders/no-op.ts'
import type {
	EmitArgs,
	EmitFields,
	EventMap,
	KindFilter,
	KindOf,
	LineOf,
	RecordOf,
	RecordOrGap,
} from '../model/events.ts'
import type { LogFilter } from '../model/filter.ts'
import { checkLevel } from '../model/line-check.ts'
import { type LineFields, type LogLevel, type LogLine, type LogRecord, levelIndex } from '../model/record.ts'
import { coreOf, ScopedCore, setCore } from './core-of.ts'
import type { Listener } from './listeners.ts'
import { LoopCore } from './loop-core.ts'
import { type MeshLoopOptions, resolveLoopOptions, type ScopeFields } from './options.ts'
import { Scope } from './scope.ts'
import type { LoopStats } from './stats.ts'
import type { LoopSubscription } from './subscription.ts'

const NO_FIELDS: LineFields = Object.freeze({})

/**
 * An event bus whose every event is kept: in a bounded ring for now, and by its appender for ever.
 *
 * Everything that publishes is synchronous. When `publish` returns, the record is stamped, in the ring, and
 * taken by the appender unless earlier records wait for it. No appender, listener or hook that fails throws
 * into a publisher; only misuse does, before anything is stamped.
 *
 * `E` names the kinds of an application and the type of the data of each, as an interface or a type.
 * Listeners and readers get the {@link Canonical} form of that type. A typed loop passes wherever a plain
 * `MeshLoop` is wanted.
 *
 * @example
 * ```ts
 * import { BufferingAppender, MeshLoop } from 'mesh-chain'
 *
 * interface Events { order: { id: number } }
 *
 * const loop = new MeshLoop<Events>(new BufferingAppender())
 * loop.on('order', (record) => console.log(record.data.id))
 * loop.emit('order', { id: 7 })
 * loop.warn('stock is low', { left: 3 })
 * await loop.close()
 * ```
 */
export class MeshLoop<E extends object = EventMap> implements AsyncDisposable {
	/**
	 * @param appender belongs to this loop from here on. Default: a {@link NoOpAppender}.
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_ID`, `APPENDER_IN_USE`
	 */
	constructor(appender: LogChainAppender = new NoOpAppender(), options: MeshLoopOptions = {}) {
		const resolved = resolveLoopOptions(options)
		setCore(this, new ScopedCore(new LoopCore(this, appender, resolved), Scope.root(resolved.level), true))
	}

	/**
	 * Publishes one line.
	 *
	 * @returns the record; undefined for a line below the level, one that `transform` dropped, and one after
	 * close. Each has its counter in {@link stats}.
	 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_LEVEL`, `INVALID_KIND`, `INVALID_ID`, `INVALID_TIME`:
	 * misuse, found before anything is stamped.
	 */
	publish(line: LineOf<E>): LogRecord | undefined {
		const { core, scope } = coreOf(this)
		return core.publish(line, scope)
	}

	/**
	 * Publishes lines as one: after a crash all of them are in the chain or none, where the appender can do so,
	 * and an appender that refuses them refuses all.
	 *
	 * @returns the records, without lines for which {@link publish} would return undefined.
	 * @throws {MeshChainError} `BATCH_TOO_LARGE` above 1,024 records, 1 MiB or the bounds of the ring, and all
	 * errors of `publish`; then nothing was stamped.
	 */
	publishBatch(lines: readonly LineOf<E>[]): LogRecord[] {
		const { core, scope } = coreOf(this)
		return core.publishBatch(lines, scope)
	}

	/** Publishes a message at level `trace`, kind `log`; returns and throws as {@link publish}. */
	trace(message: string, data?: unknown, fields?: LineFields): LogRecord | undefined {
		return log(this, 'trace', message, data, fields)
	}

	/** Publishes a message at level `debug`, kind `log`; returns and throws as {@link publish}. */
	debug(message: string, data?: unknown, fields?: LineFields): LogRecord | undefined {
		return log(this, 'debug', message, data, fields)
	}

	/** Publishes a message at level `info`, kind `log`; returns and throws as {@link publish}. */
	info(message: string, data?: unknown, fields?: LineFields): LogRecord | undefined {
		return log(this, 'info', message, data, fields)
	}

	/** Publishes a message at level `warn`, kind `log`; returns and throws as {@link publish}. */
	warn(message: string, data?: unknown, fields?: LineFields): LogRecord | undefined {
		return log(this, 'warn', message, data, fields)
	}

	/**
	 * Publishes a message at level `error`, kind `log`; returns and throws as {@link publish}. A
	 * `FileChainAppender` writes such a record before this returns.
	 */
	error(message: string, data?: unknown, fields?: LineFields): LogRecord | undefined {
		return log(this, 'error', message, data, fields)
	}

	/**
	 * Publishes data under a kind; `fields` may set level and message.
	 *
	 * @returns the record; undefined as for {@link publish}.
	 * @throws {MeshChainError} as {@link publish}.
	 */
	emit<K extends keyof E & string>(kind: K, ...dataAndFields: EmitArgs<E[K]>): LogRecord | undefined
	emit(kind: string, data?: unknown, fields?: EmitFields): LogRecord | undefined {
		const { core, scope } = coreOf(this)
		if (!core.wants(fields?.level ?? 'info', scope)) return undefined
		return core.publish({ ...fields, kind, data }, scope)
	}

	/**
	 * Calls `listener` with each record of a kind, or with every record for `'*'`, from now on and
	 * synchronously. The listeners of the kind precede those of `'*'`. A record that a listener publishes is
	 * delivered after the current one, within `nestedDepthMax` and `nestedDeliveriesMax`. A listener that throws
	 * or rejects is counted and reported, and affects nothing else.
	 *
	 * @throws {MeshChainError} `INVALID_KIND`, `INVALID_USAGE`
	 */
	on(kind: '*', listener: (record: RecordOf<E>) => unknown): this
	on<K extends KindOf<E>>(kind: K, listener: (record: RecordOf<E, K>) => unknown): this
	on(kind: string, listener: (record: never) => unknown): this {
		coreOf(this).core.listeners.on(kind, listener as Listener)
		return this
	}

	/**
	 * As {@link on}, for the next record only.
	 *
	 * @throws {MeshChainError} `INVALID_KIND`, `INVALID_USAGE`
	 */
	once(kind: '*', listener: (record: RecordOf<E>) => unknown): this
	once<K extends KindOf<E>>(kind: K, listener: (record: RecordOf<E, K>) => unknown): this
	once(kind: string, listener: (record: never) => unknown): this {
		coreOf(this).core.listeners.once(kind, listener as Listener)
		return this
	}

	/**
	 * Removes a listener, however often it was added for this kind.
	 *
	 * @throws {MeshChainError} `INVALID_KIND`, `INVALID_USAGE`
	 */
	off(kind: '*', listener: (record: RecordOf<E>) => unknown): this
	off<K extends KindOf<E>>(kind: K, listener: (record: RecordOf<E, K>) => unknown): this
	off(kind: string, listener: (record: never) => unknown): this {
		coreOf(this).core.listeners.off(kind, listener as Listener)
		return this
	}

	/**
	 * Returns a loop over the same ring, appender and listeners that adds fields to each line: ids and time
	 * where the line has none, `data` key by key (data that is not a plain object goes under the key `data`).
	 * Its level follows this loop's until it is set. Closing it closes only it.
	 *
	 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_ID`, `INVALID_TIME`
	 */
	child(fields: ScopeFields): MeshLoop<E> {
		const { core, scope } = coreOf(this)
		const child: MeshLoop<E> = Object.create(MeshLoop.prototype)
		setCore(child, new ScopedCore(core, scope.child(fields), false))
		return child
	}

	/** Lines below this level are counted, and not built. */
	get level(): LogLevel {
		return coreOf(this).scope.level
	}

	/** @throws {MeshChainError} `INVALID_LEVEL` */
	set level(level: LogLevel) {
		coreOf(this).scope.setLevel(level)
	}

	/**
	 * Tells whether lines at a level are published.
	 *
	 * @throws {MeshChainError} `INVALID_LEVEL`
	 */
	isLevelEnabled(level: LogLevel): boolean {
		return checkLevel(level) >= levelIndex(this.level)
	}

	/**
	 * Returns the records of the ring that match, oldest first. A record that the appender has not committed, or
	 * never will, is a copy with `chainPending`.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`
	 */
	snapshot<K extends KindOf<E>>(filter: KindFilter<K>): RecordOf<E, K>[]
	snapshot(filter?: LogFilter): RecordOf<E>[]
	snapshot(filter?: LogFilter): LogRecord[] {
		return coreOf(this).core.snapshot(filter)
	}

	/**
	 * Returns the records published from now on that match, at the consumer's pace. It has no queue: one `$gap`
	 * record (`lagged`) stands for what left the ring before the consumer fetched it, whatever the filter. Ends
	 * when the loop is closed and the ring is read.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`, at once.
	 */
	subscribe<K extends KindOf<E>>(filter: KindFilter<K>): LoopSubscription<RecordOrGap<E, K>>
	subscribe(filter?: LogFilter): LoopSubscription<RecordOf<E>>
	subscribe(filter?: LogFilter): LoopSubscription {
		return coreOf(this).core.subscribe(filter)
	}

	/** Seq up to which every record survives what the appender's `durability` names, or was counted lost. */
	get committedSeq(): number {
		return coreOf(this).core.committedSeq
	}

	/** Returns the counters of the loop, its ring and its appender. */
	stats(): LoopStats {
		return coreOf(this).core.stats()
	}

	/**
	 * Returns once the operating system has everything published.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED`, with the first `seq` that it does not have; also once after a
	 * record was lost.
	 */
	flush(): void {
		coreOf(this).core.flush()
	}

	/**
	 * Resolves once everything published before this call is on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`, with the first `seq` that is not on disk; also once after a record
	 * was lost.
	 */
	sync(): Promise<void> {
		return coreOf(this).core.sync()
	}

	/**
	 * Appends what is pending, syncs and closes the appender, ends the subscriptions. Never waits for an
	 * appender that fails, and at most `closeTimeoutMs` for one that does not answer. Idempotent. Lines
	 * published afterwards are counted and dropped. A child syncs, and closes only itself.
	 *
	 * @throws {MeshChainError} the first failure, after everything else was done: `CLOSE_FAILED` when records
	 * were lost, and the errors of the appender's `sync` and `close`.
	 */
	close(): Promise<void> {
		return coreOf(this).close()
	}

	/** As {@link close}, for `await using`. */
	async [Symbol.asyncDispose](): Promise<void> {
		await this.close()
	}
}

/**
 * Publishes a line of a level method. Its fields are set one by one and always all of them: a spread would
 * give each line another shape, and V8 compiles for one.
 */
function log(
	loop: object,
	level: LogLevel,
	message: string,
	data: unknown,
	fields: LineFields | undefined,
): LogRecord | undefined {
	const { core, scope } = coreOf(loop)
	if (!core.wants(level, scope)) return undefined
	const { daemonId, nodeId, tsMs } = fields ?? NO_FIELDS
	return core.publish({ level, message, data, daemonId, nodeId, tsMs } as LogLine, scope)
}
