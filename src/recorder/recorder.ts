/** Named spans of a loop's history, with checkpoints of application state: kept in memory up to a bound, and in the loop's chain. */
import { randomUUID } from 'node:crypto'
import { canonicalise } from '../codec/canonical.ts'
import { show } from '../guard/show.ts'
import { checkLoop, coreOf } from '../loop/core-of.ts'
import type { MeshLoop } from '../loop/mesh-loop.ts'
import { checkOptionNames, checkText, checkWholeNumber, invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { CheckpointMark, SessionMark } from '../model/own-events.ts'
import { isOwnKind, type LogRecord } from '../model/record.ts'
import { checkpointMarkOf } from './mark.ts'
import {
	CHECKPOINT_KIND,
	type Checkpoint,
	checkTime,
	type EventSlice,
	SESSION_KIND,
	type Session,
} from './session.ts'
import { SessionMemory } from './session-memory.ts'

export interface RecorderOptions {
	/** Events in memory, default 50,000; 0 acts as 1. The oldest go first. */
	maxEvents?: number
	/** Checkpoints in memory, default 1,000; 0 acts as 1. The oldest go first. */
	maxCheckpoints?: number
}

const NOTHING: EventSlice = Object.freeze({ events: Object.freeze([]), missing: 0 })

/**
 * Records what a loop publishes as sessions. One is active at a time; while none is, nothing is recorded, and questions are about
 * the one before. An event is any record but mesh-chain's own (kinds that begin with `$`).
 *
 * In memory a session holds its newest `maxEvents` events, and answers say how many they miss. Where the loop has a chain the marks of
 * sessions and checkpoints are in it, between the records: `openSession` finds them there, also after a restart.
 *
 * @example
 * ```ts
 * import { MeshLoop } from 'mesh-chain'
 * import { Recorder } from 'mesh-chain/recorder'
 *
 * const loop = new MeshLoop()
 * const recorder = new Recorder(loop)
 * recorder.start('checkout')
 * loop.emit('cart', { items: 1 })
 * recorder.checkpoint({ items: 1 }, { id: 'before' })
 * loop.emit('cart', { items: 2 })
 * console.log(recorder.eventsSince(recorder.checkpoints()[0]!.eventIndex).events.length)
 * recorder.stop()
 * ```
 */
export class Recorder {
	readonly #loop: MeshLoop
	readonly #bounds: { readonly maxEvents: number; readonly maxCheckpoints: number }
	/** In marks: which recorder wrote them. */
	readonly #id = randomUUID()
	#session: SessionMemory | undefined
	/** Of the newest record that the session has looked at: each comes once, and in order. */
	#seenSeq = 0

	/** @throws {MeshChainError} `INVALID_OPTION` */
	constructor(loop: MeshLoop, options: RecorderOptions = {}) {
		checkLoop('a recorder needs a loop', loop)
		checkOptionNames(options, ['maxEvents', 'maxCheckpoints'])
		this.#loop = loop
		this.#bounds = {
			maxEvents: Math.max(1, checkWholeNumber('maxEvents', options.maxEvents ?? 50_000, 0)),
			maxCheckpoints: Math.max(1, checkWholeNumber('maxCheckpoints', options.maxCheckpoints ?? 1000, 0)),
		}
	}

	get isActive(): boolean {
		return this.#session?.stoppedMs === null
	}

	/** How many events memory holds of the session; at most `maxEvents`. 0 before the first session. */
	get eventCount(): number {
		return this.#known()?.eventCount ?? 0
	}

	/**
	 * Begins a session, and forgets what memory holds of the one before.
	 *
	 * @param id one of its own unless given.
	 * @returns the id.
	 * @throws {MeshChainError} `SESSION_ACTIVE`; `INVALID_OPTION`
	 */
	start(id: string = randomUUID()): string {
		this.#refuseActive('start')
		checkText('the id of a session', id)
		const session = new SessionMemory({ id, startedMs: Date.now() }, this.#bounds)
		const marked = this.#begin(session)
		if (marked !== undefined) session.startedMs = marked.tsMs
		return id
	}

	/** Ends the session and returns it; null when none is active. What it holds can still be asked for. */
	stop(): Session | null {
		const session = this.#known()
		if (session === undefined || !this.isActive) return null
		this.#loop.off('*', this.#onRecord)
		session.stoppedMs = Date.now()
		const { id, nextIndex } = session
		const marked = this.#mark({ action: 'stop', recorder: this.#id, session: id, nextIndex })
		if (marked !== undefined) session.stoppedMs = marked.tsMs
		return session.toJSON()
	}

	/**
	 * Keeps application state at this moment: before the next event.
	 *
	 * @param state is copied, and must be data throughout, at most 1 MiB of it. What a loop's `transform` takes out of it is in no
	 * checkpoint.
	 * @param options an id that is given twice stays with the first; one of its own unless given.
	 * @throws {MeshChainError} `NO_SESSION` when none is active; `INVALID_STATE`; `INVALID_OPTION`.
	 */
	checkpoint<S>(state: S, options: { readonly id?: string; readonly label?: string } = {}): Checkpoint<S> {
		const session = this.#known()
		if (session === undefined || !this.isActive) {
			throw new MeshChainError('NO_SESSION', 'a checkpoint needs an active session: call start() first')
		}
		checkOptionNames(options, ['id', 'label'])
		const { id = randomUUID(), label } = options
		checkText('the id of a checkpoint', id)
		if (label !== undefined && typeof label !== 'string')
			throw invalidOption('the label of a checkpoint', label, 'a text')
		const { id: name, nextIndex: eventIndex } = session
		const given = { recorder: this.#id, session: name, id, label: label ?? null, eventIndex, state }
		const mark = canonicalMark(given)
		const record = coreOf(this.#loop).publishOwn({ kind: CHECKPOINT_KIND, message: label ?? id, data: mark })
		const checkpoint: Checkpoint<S> = Object.freeze({
			id,
			label,
			state: (record === undefined ? mark.state : stateOf(record)) as S,
			eventIndex,
			tsMs: record?.tsMs ?? Date.now(),
			seq: record?.seq ?? 0,
		})
		session.addCheckpoint(checkpoint)
		return checkpoint
	}

	/**
	 * The events with this index and above.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	eventsSince(index: number): EventSlice {
		return this.#known()?.range(checkWholeNumber('index', index, 0), Number.POSITIVE_INFINITY) ?? NOTHING
	}

	/**
	 * The events with a time from `from` to `to`, both inclusive; none when `from` is the later one.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	eventsBetween(from: number | Date, to: number | Date): EventSlice {
		const [fromMs, toMs] = [checkTime('from', from), checkTime('to', to)]
		return this.#known()?.between(fromMs, toMs) ?? NOTHING
	}

	/**
	 * The events from one checkpoint up to another, in whichever order they are named; none between one and itself.
	 *
	 * @throws {MeshChainError} `CHECKPOINT_NOT_FOUND`, naming the first of them that is missing; `NO_SESSION`.
	 */
	eventsBetweenCheckpoints(a: string, b: string): EventSlice {
		const session = this.#known()
		if (session === undefined) throw new MeshChainError('NO_SESSION', 'nothing has been recorded yet')
		const from = session.checkpoint(a).eventIndex
		const to = session.checkpoint(b).eventIndex
		return session.range(Math.min(from, to), Math.max(from, to))
	}

	/**
	 * The events of one kind, in order: what to replay to see how something came about.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	sequence(kind: string): EventSlice {
		checkText('the kind of a sequence', kind)
		return this.#known()?.ofKind(kind) ?? NOTHING
	}

	checkpoints(): readonly Checkpoint[] {
		return this.#session?.checkpoints ?? []
	}

	/** What memory holds of the session, which goes on; null when there was none. */
	export(): Session | null {
		return this.#known()?.toJSON() ?? null
	}

	/**
	 * Makes a session that was exported the active one; its events go on behind its last index. What is beyond the bounds is dropped
	 * and counted.
	 *
	 * @throws {MeshChainError} `SESSION_ACTIVE`, `INVALID_SESSION`; nothing has changed then.
	 */
	import(session: Session): void {
		this.#refuseActive('import')
		this.#begin(SessionMemory.from(session, this.#bounds))
	}

	readonly #onRecord = (record: LogRecord): void => {
		const session = this.#session
		if (session === undefined || !this.isActive) return
		if (record.seq === this.#seenSeq + 1) this.#see(session, record)
		else this.#known()
	}

	#begin(session: SessionMemory): LogRecord | undefined {
		this.#session = session
		// A record may still be going round that was published before.
		this.#seenSeq = this.#loop.stats().lastSeq
		this.#loop.on('*', this.#onRecord)
		const { id, nextIndex: firstIndex } = session
		return this.#mark({ action: 'start', recorder: this.#id, session: id, firstIndex })
	}

	/**
	 * The session with everything that was published so far: where listeners publish, and where delivery to them was cut, the ring has
	 * what did not come by yet. What is not in the ring any more counts as missing.
	 */
	#known(): SessionMemory | undefined {
		const session = this.#session
		if (session === undefined || !this.isActive || this.#loop.stats().lastSeq === this.#seenSeq)
			return session
		for (const record of this.#loop.snapshot({ afterSeq: this.#seenSeq })) this.#see(session, record)
		return session
	}

	#see(session: SessionMemory, record: LogRecord): void {
		session.lose(record.seq - this.#seenSeq - 1)
		this.#seenSeq = record.seq
		if (isOwnKind(record.kind)) return
		session.add(record.chainPending ? Object.freeze({ ...record, chainPending: false }) : record)
	}

	#mark(mark: SessionMark): LogRecord | undefined {
		const message = `session ${mark.session}: ${mark.action}`
		return coreOf(this.#loop).publishOwn({ kind: SESSION_KIND, message, data: mark })
	}

	#refuseActive(what: string): void {
		if (!this.isActive) return
		const text = `the session ${show(this.#session?.id)} is active: stop() it before ${what}()`
		throw new MeshChainError('SESSION_ACTIVE', text)
	}
}

/** The state as it was published: what a transform took out is in no memory either. */
function stateOf(record: LogRecord): unknown {
	const mark = checkpointMarkOf(record)
	return mark === undefined ? record.data : mark.state
}

/** @throws {MeshChainError} `INVALID_STATE` */
function canonicalMark(mark: CheckpointMark): CheckpointMark {
	const { value, markers } = canonicalise(mark)
	if (markers === 0) return value as CheckpointMark
	throw new MeshChainError(
		'INVALID_STATE',
		'a state must be data throughout, less than 1 MiB of it and 31 levels deep: it holds a function, a symbol, a cycle, an object that is no data, or too much',
	)
}
