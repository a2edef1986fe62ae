/** The public loop and its children. The core that they share does all the work. */
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
 * An event bus that keeps every event: in a bounded ring in memory, and permanently through its appender.
 *
 * All publishing methods are synchronous. When `publish` returns, the record is stamped, in the ring, and
 * taken by the appender unless earlier records are still pending. A failing appender, listener or hook never
 * throws into a publisher. Only misuse throws, before anything is stamped.
 *
 * `E` maps the kinds of an application to the types of their data, as an interface or a type. Listeners and
 * readers get the {@link Canonical} form of that type. A typed loop is accepted wherever a plain `MeshLoop`
 * is.
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
	 * @param appender the appender, which belongs to this loop from now on. Default: a {@link NoOpAppender}.
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_ID`, `APPENDER_IN_USE`
	 */
	constructor(appender: LogChainAppender = new NoOpAppender(), options: MeshLoopOptions = {}) {
		const resolved = resolveLoopOptions(options)
		setCore(this, new ScopedCore(new LoopCore(this, appender, resolved), Scope.root(resolved.level), true))
	}

	/**
	 * Publishes one line.
	 *
	 * @returns the record; undefined for a line below the level, for one that `transform` dropped, and after
	 * close. Each case has its counter in {@link stats}.
	 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_LEVEL`, `INVALID_KIND`, `INVALID_ID`, `INVALID_TIME`:
	 * misuse, found before anything is stamped.
	 */
	publish(line: LineOf<E>): LogRecord | undefined {
		const { core, scope } = coreOf(this)
		return core.publish(line, scope)
	}

	/**
	 * Publishes lines as one batch. If the appender supports batches, the chain has all of them or none after
	 * a crash, and an appender that refuses the batch refuses all of it.
	 *
	 * @returns the records, without lines for which {@link publish} would return undefined.
	 * @throws {MeshChainError} `BATCH_TOO_LARGE` above 1,024 records, 1 MiB or the bounds of the ring, and
	 * all errors of `publish`. Nothing is stamped then.
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
	 * Calls `listener` synchronously with each later record of a kind, or with every later record for `'*'`.
	 * Listeners of the kind are called before listeners of `'*'`. A record that a listener publishes is
	 * delivered after the current one, within `nestedDepthMax` and `nestedDeliveriesMax`. A listener that
	 * throws or rejects is counted and reported; nothing else is affected.
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
	 * Calls `listener` as {@link on} does, for the next record only.
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
	 * Removes a listener, no matter how often it was added for this kind.
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
	 * Returns a loop over the same ring, appender and listeners that adds fields to each line. Ids and time
	 * are added if the line has none. `data` is merged key by key; data that is not a plain object goes under
	 * the key `data`. The level follows this loop's level until it is set. Closing the child does not close
	 * this loop.
	 *
	 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_ID`, `INVALID_TIME`
	 */
	child(fields: ScopeFields): MeshLoop<E> {
		const { core, scope } = coreOf(this)
		const child: MeshLoop<E> = Object.create(MeshLoop.prototype)
		setCore(child, new ScopedCore(core, scope.child(fields), false))
		return child
	}

	/** Lowest level to publish. Lines below it are counted and not built. */
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
	 * Returns the matching records of the ring, oldest first. A record that the appender has not committed,
	 * or will never commit, is returned as a copy with `chainPending`.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`
	 */
	snapshot<K extends KindOf<E>>(filter: KindFilter<K>): RecordOf<E, K>[]
	snapshot(filter?: LogFilter): RecordOf<E>[]
	snapshot(filter?: LogFilter): LogRecord[] {
		return coreOf(this).core.snapshot(filter)
	}

	/**
	 * Returns the matching records that are published from now on, at the consumer's pace. The subscription
	 * has no queue. If records leave the ring before the consumer fetches them, one `$gap` record (`lagged`)
	 * replaces them, whatever the filter. The subscription ends when the loop is closed and the ring has been
	 * read.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`, at once.
	 */
	subscribe<K extends KindOf<E>>(filter: KindFilter<K>): LoopSubscription<RecordOrGap<E, K>>
	subscribe(filter?: LogFilter): LoopSubscription<RecordOf<E>>
	subscribe(filter?: LogFilter): LoopSubscription {
		return coreOf(this).core.subscribe(filter)
	}

	/** Highest seq up to which every record has the appender's `durability` or was counted as lost. */
	get committedSeq(): number {
		return coreOf(this).core.committedSeq
	}

	/** Returns the counters of the loop, its ring and its appender. */
	stats(): LoopStats {
		return coreOf(this).core.stats()
	}

	/**
	 * Returns once the operating system has every published record.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED`, with the first `seq` that it does not have; also once after a
	 * record was lost.
	 */
	flush(): void {
		coreOf(this).core.flush()
	}

	/**
	 * Resolves once every record published before this call is on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`, with the first `seq` that is not on disk; also once after a
	 * record was lost.
	 */
	sync(): Promise<void> {
		return coreOf(this).core.sync()
	}

	/**
	 * Appends what is pending, syncs and closes the appender, and ends the subscriptions. Never waits for a
	 * failing appender, and waits at most `closeTimeoutMs` for one that does not answer. Idempotent. Lines
	 * published afterwards are counted and dropped. On a child, syncs and closes only the child.
	 *
	 * @throws {MeshChainError} the first failure, after everything else is done: `CLOSE_FAILED` if records
	 * were lost, and the errors of the appender's `sync` and `close`.
	 */
	close(): Promise<void> {
		return coreOf(this).close()
	}

	/** Closes the loop as {@link close} does, for `await using`. */
	async [Symbol.asyncDispose](): Promise<void> {
		await this.close()
	}
}

/**
 * Publishes a line of a level method. Always sets all fields, one by one: a spread would give lines different
 * shapes, and V8 optimises for a single one.
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
