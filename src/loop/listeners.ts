/**
 * Delivers records to listeners in `seq` order. A record that a listener publishes is delivered after the
 * current record has reached every listener. The registry is an EventEmitter from eventemitter3. Its `emit`
 * stops at the first error and does not handle rejections, so each listener is wrapped.
 */
import { EventEmitter } from 'eventemitter3'
import { hush } from '../guard/hush.ts'
import { follow, isThenable } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'
import { report, warn } from '../platform/diagnostics.ts'
import type { Counters } from './stats.ts'

/** A listener. Its result is ignored, except that a rejected promise is caught and counted. */
export type Listener = (record: LogRecord) => unknown

/** Listeners for this kind receive every record. */
const EVERY_KIND = '*'

interface Waiting {
	readonly record: LogRecord
	/**
	 * Number of listeners between this record and the outermost record, which was published outside any
	 * listener.
	 */
	readonly depth: number
}

/** Limits on the nested publishing that one outermost record can cause. */
export interface NestingBounds {
	readonly nestedDepthMax: number
	readonly nestedDeliveriesMax: number
}

/** Delivered records are removed from the waiting list once they exceed this number and half of the list. */
const DELIVERED_MAX = 1024

export class Listeners {
	readonly #source: object
	readonly #bounds: NestingBounds
	readonly #counters: Counters
	readonly #registry = new EventEmitter()
	/** One wrapper per listener, so that `off` finds the wrapper. */
	readonly #wrappers = new WeakMap<Listener, Listener>()
	/** False only if there are no listeners. */
	#hasListeners = false
	#delivering = false
	#waiting: Waiting[] = []
	/** Depth of the record that is being delivered. */
	#depth = 0
	/** Number of nested deliveries since the outermost delivery started. */
	#nested = 0
	#saidListenerError = false
	#saidRecursionCut = false

	constructor(source: object, counters: Counters, bounds: NestingBounds) {
		this.#source = source
		this.#bounds = bounds
		this.#counters = counters
	}

	/** @throws {MeshChainError} `INVALID_KIND`, `INVALID_USAGE` */
	on(kind: string, listener: Listener): void {
		this.#registry.on(checkedKind(kind), this.#wrap(listener))
		this.#hasListeners = true
	}

	/** @throws {MeshChainError} `INVALID_KIND`, `INVALID_USAGE` */
	once(kind: string, listener: Listener): void {
		this.#registry.once(checkedKind(kind), this.#wrap(listener))
		this.#hasListeners = true
	}

	/** @throws {MeshChainError} `INVALID_KIND`, `INVALID_USAGE` */
	off(kind: string, listener: Listener): void {
		this.#registry.off(checkedKind(kind), this.#wrap(listener))
		this.#hasListeners = this.#registry.eventNames().length > 0
	}

	/**
	 * Calls the listeners for the record's kind, then the listeners for `'*'`. If a delivery is in progress,
	 * queues the record.
	 */
	deliver(record: LogRecord): void {
		if (!this.#hasListeners) return
		if (this.#delivering) {
			this.#enqueueNested(record)
			return
		}
		this.#delivering = true
		try {
			this.#dispatch(record)
			if (this.#waiting.length > 0) this.#drain()
		} finally {
			this.#delivering = false
		}
	}

	/**
	 * Delivers records that were published together, like {@link deliver}. A record that a listener publishes
	 * during the delivery is delivered after all of these records.
	 */
	deliverAll(records: readonly LogRecord[]): void {
		if (!this.#hasListeners) return
		for (const record of records) {
			if (this.#delivering) this.#enqueueNested(record)
			else this.#waiting.push({ record, depth: 0 })
		}
		if (this.#delivering) return
		this.#delivering = true
		try {
			this.#drain()
		} finally {
			this.#delivering = false
		}
	}

	#dispatch(record: LogRecord): void {
		this.#registry.emit(record.kind, record)
		this.#registry.emit(EVERY_KIND, record)
	}

	#drain(): void {
		try {
			// Listeners may add to the list during this loop.
			for (let index = 0; index < this.#waiting.length; index++) {
				const { record, depth } = this.#waiting[index]!
				this.#depth = depth
				this.#dispatch(record)
				if (index < DELIVERED_MAX || 2 * index < this.#waiting.length) continue
				this.#waiting.splice(0, index + 1)
				index = -1
			}
		} finally {
			this.#waiting = []
			this.#depth = 0
			this.#nested = 0
		}
	}

	#enqueueNested(record: LogRecord): void {
		if (!this.#isHeard(record)) return
		const depth = this.#depth + 1
		const { nestedDepthMax, nestedDeliveriesMax } = this.#bounds
		if (depth > nestedDepthMax) this.#cut(record, 'nestedDepthMax')
		else if (this.#nested >= nestedDeliveriesMax) this.#cut(record, 'nestedDeliveriesMax')
		else {
			this.#nested += 1
			this.#waiting.push({ record, depth })
		}
	}

	#isHeard(record: LogRecord): boolean {
		return this.#registry.listenerCount(record.kind) + this.#registry.listenerCount(EVERY_KIND) > 0
	}

	#cut(record: LogRecord, bound: keyof NestingBounds): void {
		this.#counters.recursionCut += 1
		report('recursionCut', { source: this.#source, record, bound })
		if (this.#saidRecursionCut) return
		this.#saidRecursionCut = true
		const what = `record ${record.seq} (${record.kind}) is kept, but not delivered to listeners`
		const why = `publishing from within listeners exceeded ${bound} (${this.#bounds[bound]})`
		warn('RECURSION_CUT', `${why}: ${what}; further records are only counted`)
	}

	#wrap(listener: Listener): Listener {
		if (typeof listener !== 'function') {
			throw new MeshChainError('INVALID_USAGE', `a listener must be a function, not ${show(listener)}`)
		}
		let wrapper = this.#wrappers.get(listener)
		if (wrapper === undefined) {
			wrapper = (record) => this.#call(listener, record)
			this.#wrappers.set(listener, wrapper)
		}
		return wrapper
	}

	#call(listener: Listener, record: LogRecord): void {
		try {
			const result = listener(record)
			if (isThenable(result))
				follow(
					result,
					() => {},
					(thrown) => this.#listenerFailed(thrown, record),
				)
		} catch (thrown) {
			this.#listenerFailed(thrown, record)
		}
	}

	#listenerFailed(error: unknown, record: LogRecord): void {
		hush(error)
		this.#counters.listenerErrors += 1
		report('listenerError', { source: this.#source, error, record })
		if (this.#saidListenerError) return
		this.#saidListenerError = true
		const what = `a listener failed on record ${record.seq} (${record.kind}): ${messageOf(error)}`
		warn('LISTENER_FAILED', `${what}; further failures are only counted`)
	}
}

function checkedKind(kind: unknown): string {
	if (typeof kind === 'string' && kind !== '') return kind
	throw new MeshChainError('INVALID_KIND', `a listener's kind must be a non-empty string, not ${show(kind)}`)
}
