/** The public class for loops and their children. It delegates all work to a shared core. */
import type { LogChainAppender } from '../appender.ts'
import { NoOpAppender } from '../appenders/no-op.ts'
import { isPlainObject, propertyOf } from '../guard/values.ts'
import type {
	EmitArgs,
	EmitFields,
	EventMap,
	KindFilter,
	KindOf,
	LineOf,
	RecordOf,
	RecordOrGap,
	WellSpelt,
} from '../model/events.ts'
import type { LogFilter } from '../model/filter.ts'
import { checkLevelMin, type LineLevel, type LogLevelInput, type LogLevelMin } from '../model/level.ts'
import type { LineFields, LogRecord } from '../model/record.ts'
import { coreOf, ScopedCore, setCore } from './core-of.ts'
import type { Listener } from './listeners.ts'
import { isPlainCall, lineOfCall } from './log-call.ts'
import { LoopCore } from './loop-core.ts'
import { type MeshLoopOptions, resolveLoopOptions, type ScopeFields } from './options.ts'
import { fieldsOf } from './regular-line.ts'
import { Scope } from './scope.ts'
import type { LoopStats } from './stats.ts'
import type { LoopSubscription } from './subscription.ts'

const NO_FIELDS: LineFields = Object.freeze({})

/**
 * An event bus that keeps its events: the newest ones in a bounded ring in memory, and all of them
 * permanently through its appender.
 *
 * All publishing methods are synchronous. When `publish` returns, the record has been stamped, added to the
 * ring, and passed to the appender unless earlier records are still pending. An error in an appender,
 * listener or hook never reaches the publisher. A wrong argument is recorded, not thrown.
 *
 * `E` is an interface or type that maps an application's kinds to the types of their data. Listeners and
 * readers receive data in its {@link Canonical} form. A typed loop is accepted wherever a plain `MeshLoop`
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
	 * @param appender the destination of the records. The loop takes ownership of it. Default: a
	 * {@link NoOpAppender}.
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`, `INVALID_ID`, `APPENDER_IN_USE`
	 */
	constructor(appender: LogChainAppender = new NoOpAppender(), options: MeshLoopOptions = {}) {
		const resolved = resolveLoopOptions(options)
		setCore(this, new ScopedCore(new LoopCore(this, appender, resolved), Scope.root(resolved.level), true))
		bindMethods(this)
	}

	/**
	 * Publishes one line. Never throws: a field that no line has, and a field with an invalid value, become
	 * part of the record's data, under their own name. If `message` is missing, `msg` is the message.
	 *
	 * @returns the record, or undefined if the line is below the level, if `sampling`, `rateLimit` or
	 * `transform` dropped it, or if the loop is closed. {@link stats} counts each case separately.
	 */
	publish<L extends object>(line: L & LineOf<E> & WellSpelt<L>): LogRecord | undefined {
		const { core, scope } = coreOf(this)
		return core.publish(line, scope)
	}

	/**
	 * Publishes lines as one batch. If the appender supports batches, it accepts or refuses the batch as a
	 * unit, and after a crash, the chain contains either the whole batch or none of it.
	 *
	 * @returns the records for the published lines. See {@link publish} for lines that do not produce a
	 * record.
	 * @throws {MeshChainError} `BATCH_TOO_LARGE` if the batch exceeds 1,024 records, 1 MiB or the bounds of
	 * the ring, `INVALID_LINE` if it is not an array. If this method throws, no line has been stamped.
	 */
	publishBatch(lines: readonly LineOf<E>[]): LogRecord[] {
		const { core, scope } = coreOf(this)
		return core.publishBatch(lines, scope)
	}

	/**
	 * Publishes a record with kind `log` at level `trace`. Accepts the arguments that people pass to other
	 * loggers, and never throws:
	 *
	 * - a message, and data;
	 * - a message with the placeholders of `console.log`, and their values;
	 * - an object, and a message: the object is the data. Without a message, its `msg` or `message` is the
	 *   message;
	 * - an error, alone or after the other arguments: it is stored in `data.error`. Without a message, the
	 *   message of the error is the message;
	 * - ids and a time as the third argument: `{ daemonId, nodeId, tsMs }`.
	 *
	 * Any other argument is stored in `data.args`. The method can be passed as a function.
	 *
	 * @returns the record, or undefined in the same cases as {@link publish}.
	 */
	trace(message?: unknown, ...rest: unknown[]): LogRecord | undefined {
		return log(this, 'trace', message, rest)
	}

	/** Publishes a record with kind `log` at level `debug`. See {@link trace} for the arguments. */
	debug(message?: unknown, ...rest: unknown[]): LogRecord | undefined {
		return log(this, 'debug', message, rest)
	}

	/** Publishes a record with kind `log` at level `info`. See {@link trace} for the arguments. */
	info(message?: unknown, ...rest: unknown[]): LogRecord | undefined {
		return log(this, 'info', message, rest)
	}

	/** Publishes a record with kind `log` at level `warn`. See {@link trace} for the arguments. */
	warn(message?: unknown, ...rest: unknown[]): LogRecord | undefined {
		return log(this, 'warn', message, rest)
	}

	/**
	 * Publishes a record with kind `log` at level `error`. See {@link trace} for the arguments. A
	 * `FileChainAppender` writes the record before this method returns.
	 */
	error(message?: unknown, ...rest: unknown[]): LogRecord | undefined {
		return log(this, 'error', message, rest)
	}

	/**
	 * Publishes a record with kind `log` at level `error`, whose data contains `level: 'fatal'`. See
	 * {@link trace} for the arguments. Does not end the process.
	 */
	fatal(message?: unknown, ...rest: unknown[]): LogRecord | undefined {
		return log(this, 'fatal', message, rest)
	}

	/** Does nothing. Frameworks that accept a logger, such as Fastify, expect this method. */
	silent(..._args: unknown[]): undefined {
		return undefined
	}

	/**
	 * Publishes data with a kind. `fields` can set the level and the message. Never throws.
	 *
	 * @returns the record, or undefined in the same cases as {@link publish}.
	 */
	emit<K extends keyof E & string>(kind: K, ...dataAndFields: EmitArgs<E[K]>): LogRecord | undefined
	emit(kind: string, data?: unknown, fields?: EmitFields): LogRecord | undefined {
		const { core, scope } = coreOf(this)
		if (!core.wants(propertyOf(fields, 'level') ?? 'info', scope)) return undefined
		if (fields === undefined) return core.publishCall({ kind, data }, scope)
		const given = isPlainObject(fields) ? fieldsOf(fields) : undefined
		return core.publish({ ...(given ?? { fields }), kind, data }, scope)
	}

	/**
	 * Calls `listener` synchronously with each later record of a kind, or with every later record if the kind
	 * is `'*'`. Listeners for a specific kind are called before listeners for `'*'`. A record that a listener
	 * publishes is delivered after the current record, within the limits `nestedDepthMax` and
	 * `nestedDeliveriesMax`. If a listener throws or rejects, the error is counted and reported, and has no
	 * other effect.
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
	 * Calls `listener` like {@link on}, but only for the next record.
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
	 * Removes all registrations of a listener for this kind.
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
	 * Returns a child loop, which shares this loop's ring, appender and listeners, and adds fields to each
	 * line. Ids and the time are added only if the line does not set them. `data` and all other fields, such as
	 * `requestId`, are merged into the line's data, key by key. If the line's data is not a plain object, the
	 * merged data contains it under the key `data`. Closing the child does not close this loop. Never throws
	 * for its fields.
	 *
	 * @param options `level` is the level of the child. Default: the level of this loop. Other options, which
	 * frameworks pass for other loggers, are ignored.
	 * @throws {MeshChainError} `INVALID_LEVEL` for an invalid option.
	 */
	child<F extends object>(
		fields: F & ScopeFields & WellSpelt<F>,
		options?: { readonly level?: LogLevelInput | undefined },
	): MeshLoop<E> {
		const { core, scope } = coreOf(this)
		const child: MeshLoop<E> = Object.create(MeshLoop.prototype)
		const inner = core.childScope(scope, fields)
		inner.setLevel(propertyOf(options, 'level') as LogLevelInput | undefined)
		setCore(child, new ScopedCore(core, inner, false))
		bindMethods(child)
		return child
	}

	/** Lowest level to publish. Lines below this level are counted but not published. */
	get level(): LogLevelMin {
		return coreOf(this).scope.level
	}

	/**
	 * Accepts the same forms as the option `level`. Undefined means the level of the parent, or `'trace'`.
	 *
	 * @throws {MeshChainError} `INVALID_LEVEL`
	 */
	set level(level: LogLevelInput | undefined) {
		coreOf(this).scope.setLevel(level)
	}

	/**
	 * Returns whether lines at a level are published.
	 *
	 * @throws {MeshChainError} `INVALID_LEVEL`
	 */
	isLevelEnabled(level: LogLevelInput): boolean {
		return checkLevelMin(level) >= coreOf(this).scope.rankMin
	}

	/**
	 * Returns the matching records in the ring, oldest first. A record that the appender has not committed, or
	 * will never commit, is returned as a copy with `chainPending: true`.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`
	 */
	snapshot<K extends KindOf<E>>(filter: KindFilter<K>): RecordOf<E, K>[]
	snapshot(filter?: LogFilter): RecordOf<E>[]
	snapshot(filter?: LogFilter): LogRecord[] {
		return coreOf(this).core.snapshot(filter)
	}

	/**
	 * Returns a subscription to the matching records that are published after this call. The subscription has
	 * no queue, so the consumer reads the ring at its own pace. If records are evicted before the consumer
	 * fetches them, one `$gap` record (`lagged`) replaces them. Of the filter, only the range of seqs applies
	 * to this record. The subscription ends when the loop is closed and the consumer has read all remaining
	 * records.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`, synchronously.
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

	/** Returns the statistics of the loop, its ring and its appender. */
	stats(): LoopStats {
		return coreOf(this).core.stats()
	}

	/**
	 * Returns after every published record has reached the operating system.
	 *
	 * @throws {MeshChainError} `FLUSH_FAILED`, with the `seq` of the first record that has not reached the
	 * operating system. Also thrown if this is the first `flush` or `sync` after a loss.
	 */
	flush(): void {
		coreOf(this).core.flush()
	}

	/**
	 * Resolves when every record published before this call is on disk.
	 *
	 * @throws {MeshChainError} `SYNC_FAILED`, with the `seq` of the first record that is not on disk. Also
	 * thrown if this is the first `flush` or `sync` after a loss.
	 */
	sync(): Promise<void> {
		return coreOf(this).core.sync()
	}

	/**
	 * Appends the pending records, syncs and closes the appender, and ends all subscriptions. Never waits for a
	 * failing appender to recover, and waits at most `closeTimeoutMs` for an appender that does not respond.
	 * Idempotent. Lines published afterwards are counted and dropped. On a child loop, this method syncs the
	 * appender and closes only the child.
	 *
	 * @throws {MeshChainError} the first failure, after all steps have been attempted: `CLOSE_FAILED` if
	 * records were lost, or an error from the appender's `sync` or `close`.
	 */
	close(): Promise<void> {
		return coreOf(this).close()
	}

	/** Returns an empty object, so that a loop within the data of a line does not fill the record. */
	toJSON(): object {
		return {}
	}

	/** Closes the loop like {@link close}, at the end of an `await using` block. */
	async [Symbol.asyncDispose](): Promise<void> {
		await this.close()
	}
}

/**
 * Gives a loop its own functions for the methods that an application can pass on, as in
 * `promise.catch(loop.error)`. Assigns closures, because `child` would be three times slower with `bind` and
 * `Object.defineProperty`.
 */
function bindMethods(loop: MeshLoop): void {
	const { trace, debug, info, warn, error, fatal, publish, emit, child } = loop
	loop.trace = (...args) => trace.apply(loop, args)
	loop.debug = (...args) => debug.apply(loop, args)
	loop.info = (...args) => info.apply(loop, args)
	loop.warn = (...args) => warn.apply(loop, args)
	loop.error = (...args) => error.apply(loop, args)
	loop.fatal = (...args) => fatal.apply(loop, args)
	loop.publish = (line) => publish.call(loop, line)
	loop.emit = (...args: Parameters<typeof emit>) => emit.apply(loop, args)
	loop.child = (fields, options) => child.call(loop, fields, options)
}

/**
 * Publishes the line for a level method such as `info`. Sets every field explicitly, because a spread would
 * create lines with different shapes, and V8 optimises best for a single shape.
 */
function log(
	loop: object,
	level: LineLevel,
	message: unknown,
	rest: readonly unknown[],
): LogRecord | undefined {
	const { core, scope } = coreOf(loop)
	if (!core.wants(level, scope)) return undefined
	const data = rest[0]
	const fields = rest[1]
	if (rest.length > 2 || !isPlainCall(message, data, fields)) {
		return core.publish(lineOfCall(level, [message, ...rest]), scope)
	}
	const { daemonId, nodeId, tsMs } = (fields as LineFields | undefined) ?? NO_FIELDS
	return core.publishCall({ level, message, data, daemonId, nodeId, tsMs }, scope)
}
