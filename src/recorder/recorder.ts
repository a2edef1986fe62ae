/**
 * Records sessions of a loop's history, with checkpoints of application state, in bounded memory and in the
 * loop's chain.
 */
import { randomUUID } from 'node:crypto'
import { canonicalise } from '../codec/canonical.ts'
import { recordToJson } from '../codec/json-dialect.ts'
import { show } from '../guard/show.ts'
import { checkLoop, coreOf } from '../loop/core-of.ts'
import type { MeshLoop } from '../loop/mesh-loop.ts'
import { checkOptionNames, checkText, checkWholeNumber, invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { DATA_BYTES_MAX } from '../model/limits.ts'
import type { CheckpointRecord, SessionRecord } from '../model/own-events.ts'
import { isOwnKind, type LogRecord } from '../model/record.ts'
import { warn } from '../platform/diagnostics.ts'
import { onExit } from '../platform/exit-hook.ts'
import { counted } from '../text/numbers.ts'
import { type Checkpoint, checkTime, type EventSlice, type Session } from './session.ts'
import { SessionMemory } from './session-memory.ts'
import { CHECKPOINT_KIND, checkpointRecordOf, SESSION_KIND } from './session-record.ts'

/** Options for a `Recorder`. */
export interface RecorderOptions {
	/**
	 * Maximum number of events in memory. The oldest events are dropped first. Whole number; 0 is treated as 1.
	 * Default: 50,000.
	 */
	readonly eventsMax?: number | undefined
	/**
	 * Maximum number of checkpoints in memory. The oldest checkpoints are dropped first. Whole number; 0 is
	 * treated as 1. Default: 1,000.
	 */
	readonly checkpointsMax?: number | undefined
}

const NOTHING: EventSlice = Object.freeze({ events: Object.freeze([]), missing: 0 })

/**
 * Records the events of a loop in sessions. At most one session is active. While no session is active,
 * nothing is recorded, and queries return data from the previous session. An event is any record except
 * mesh-chain's own records, whose kinds start with `$`.
 *
 * A session keeps its newest `eventsMax` events in memory, and every result contains the number of missing
 * events. If the loop has a chain, the chain also contains a record for every start, stop and checkpoint.
 * `openSession` reads sessions from a chain, even after a restart.
 *
 * When the chain continues in a new file, the recorder repeats the newest checkpoint of the active session
 * there, together with the events that follow it. `stateAt` can therefore compute the state at every record
 * that retention keeps. This requires that these events are in memory (`eventsMax`) and that their records,
 * as JSON, fit into one record (1 MiB) together with the state. Otherwise, the recorder emits a process
 * warning, and the next files have a start again after the next checkpoint.
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
	readonly #bounds: { readonly eventsMax: number; readonly checkpointsMax: number }
	/** Identifies this recorder in its session records. */
	readonly #id = randomUUID()
	#session: SessionMemory | undefined
	/** Newest checkpoints of the active session in the chain, from the last one that is in a file. */
	#published: Checkpoint[] = []
	/** Seq of the newest record that repeats a checkpoint. */
	#repeatSeq = 0
	/** First seq of a file that has begun without a checkpoint, so that the next event is followed by one. */
	#dueSeq: number | undefined
	/** Removes the listeners for new files and for the end of the loop and the process. */
	#unlisten = () => {}
	#saidTooMany = false
	/**
	 * Seq of the newest record that the session has processed. Each record is processed exactly once, in order.
	 */
	#seenSeq = 0

	/** @throws {MeshChainError} `INVALID_OPTION` */
	constructor(loop: MeshLoop, options: RecorderOptions = {}) {
		checkLoop('a recorder needs a loop', loop)
		checkOptionNames(options, ['eventsMax', 'checkpointsMax'])
		const { eventsMax = 50_000, checkpointsMax = 1000 } = options
		this.#loop = loop
		this.#bounds = {
			eventsMax: Math.max(1, checkWholeNumber('eventsMax', eventsMax, 0)),
			checkpointsMax: Math.max(1, checkWholeNumber('checkpointsMax', checkpointsMax, 0)),
		}
	}

	/** Whether a session is active. */
	get isActive(): boolean {
		return this.#session !== undefined && this.#session.stoppedMs === undefined
	}

	/** Number of events in memory, at most `eventsMax`; 0 before the first session. */
	get eventCount(): number {
		return this.#known()?.eventCount ?? 0
	}

	/**
	 * Starts a session and removes the previous session from memory.
	 *
	 * @param id Id of the session. Default: a random UUID.
	 * @returns The id of the session.
	 * @throws {MeshChainError} `INVALID_OPTION`, or `SESSION_ACTIVE` if a session is active
	 */
	start(id: string = randomUUID()): string {
		this.#refuseActive('start')
		checkText('the id of a session', id)
		const session = new SessionMemory({ id, startedMs: Date.now() }, this.#bounds)
		const published = this.#begin(session)
		if (published !== undefined) session.startedMs = published.tsMs
		return id
	}

	/**
	 * Stops the active session. Returns the session; undefined if no session is active. Queries continue to
	 * return data from the stopped session.
	 */
	stop(): Session | undefined {
		const session = this.#known()
		if (session === undefined || !this.isActive) return undefined
		this.#loop.off('*', this.#onRecord)
		this.#unlisten()
		session.stoppedMs = Date.now()
		const { id, nextIndex } = session
		const published = this.#publish({ action: 'stop', recorder: this.#id, session: id, nextIndex })
		if (published !== undefined) session.stoppedMs = published.tsMs
		return session.toJSON()
	}

	/**
	 * Records the current application state as a checkpoint before the next event.
	 *
	 * @param state State to copy: plain data of less than 1 MiB. A checkpoint never contains data that the
	 * loop's `transform` removes.
	 * @param options `id`: id of the checkpoint. Default: a random UUID. If several checkpoints have the same
	 * id, the id refers to the first one. `label`: label of the checkpoint. Default: none.
	 * @throws {MeshChainError} `INVALID_OPTION`, `NO_SESSION` if no session is active, or `INVALID_STATE` if
	 * the state is not plain data or is too large
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
			throw invalidOption('the label of a checkpoint', label, 'a string')
		const { id: name, nextIndex: eventIndex } = session
		const given = { recorder: this.#id, session: name, id, label: label ?? null, eventIndex, state }
		const data = canonicalRecord(given)
		const record = coreOf(this.#loop).publishOwn({ kind: CHECKPOINT_KIND, message: label ?? id, data })
		const checkpoint: Checkpoint<S> = Object.freeze({
			id,
			label,
			state: (record === undefined ? data.state : stateOf(record)) as S,
			eventIndex,
			tsMs: record?.tsMs ?? Date.now(),
			seq: record?.seq ?? 0,
		})
		session.addCheckpoint(checkpoint)
		if (record !== undefined) this.#keep(checkpoint)
		return checkpoint
	}

	/**
	 * Returns the events whose index is `index` or higher.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	eventsSince(index: number): EventSlice {
		return this.#known()?.range(checkWholeNumber('index', index, 0), Number.POSITIVE_INFINITY) ?? NOTHING
	}

	/**
	 * Returns the events with a time between `from` and `to`, inclusive. Returns no events if `from` is later
	 * than `to`.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	eventsBetween(from: number | Date, to: number | Date): EventSlice {
		const [fromMs, toMs] = [checkTime('from', from), checkTime('to', to)]
		return this.#known()?.between(fromMs, toMs) ?? NOTHING
	}

	/**
	 * Returns the events between two checkpoints, which can be passed in either order. Returns no events if
	 * both are the same checkpoint.
	 *
	 * @throws {MeshChainError} `CHECKPOINT_NOT_FOUND` if a checkpoint is missing, or `NO_SESSION` if nothing
	 * has been recorded yet
	 */
	eventsBetweenCheckpoints(a: string, b: string): EventSlice {
		const session = this.#known()
		if (session === undefined) throw new MeshChainError('NO_SESSION', 'nothing has been recorded yet')
		const from = session.checkpoint(a).eventIndex
		const to = session.checkpoint(b).eventIndex
		return session.range(Math.min(from, to), Math.max(from, to))
	}

	/**
	 * Returns the events of one kind, in order.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	sequence(kind: string): EventSlice {
		checkText('the kind of a sequence', kind)
		return this.#known()?.ofKind(kind) ?? NOTHING
	}

	/** Returns the checkpoints in memory, oldest first. */
	checkpoints(): readonly Checkpoint[] {
		return this.#session?.checkpoints ?? []
	}

	/**
	 * Returns the part of the session that is in memory; undefined before the first session. An active session
	 * remains active.
	 */
	export(): Session | undefined {
		return this.#known()?.toJSON()
	}

	/**
	 * Resumes an exported session as the active session. Event indexes continue where the exported session
	 * ended. Events and checkpoints beyond the bounds are dropped and counted.
	 *
	 * @throws {MeshChainError} `INVALID_SESSION`, or `SESSION_ACTIVE` if a session is active. After an error,
	 * the recorder is unchanged.
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
		if (this.#dueSeq !== undefined && !isOwnKind(record.kind)) this.#repeat(session, this.#dueSeq)
	}

	readonly #onNewFile = (firstSeq: number): void => {
		const session = this.#known()
		if (session === undefined || !this.isActive) return
		// If the repeated checkpoint itself fills a file, repeating it again would never end.
		if (this.#loop.stats().lastSeq === this.#repeatSeq) this.#dueSeq = firstSeq
		else this.#repeat(session, firstSeq)
	}

	/**
	 * Before the loop or the process ends, repeats the checkpoint if the last records may begin a file, because
	 * nothing can be published after they are written.
	 */
	readonly #beforeEnd = (): void => {
		const { core } = coreOf(this.#loop)
		if (core.closed || !core.rotates || !this.isActive) return
		const { committedSeq } = this.#loop
		const isWritten = committedSeq >= this.#loop.stats().lastSeq
		if (!isWritten || this.#dueSeq !== undefined)
			this.#repeat(this.#known()!, this.#dueSeq ?? committedSeq + 1)
	}

	/**
	 * Publishes the newest checkpoint before a seq again, with the events that follow it. The file that begins
	 * with that seq, together with later files, then contains everything that the states in it depend on.
	 */
	#repeat(session: SessionMemory, firstSeq: number): void {
		this.#dueSeq = undefined
		const newest = this.#published.findLast(({ seq }) => seq < firstSeq) ?? this.#published[0]
		if (newest === undefined) return
		const { events, missing } = session.range(newest.eventIndex, Number.POSITIVE_INFINITY)
		const texts = events.map(({ record }) => recordToJson(record))
		const { id, label, state, seq } = newest
		const repeats = { seq, events: texts }
		const given = { recorder: this.#id, session: session.id, id, label: label ?? null, state, repeats }
		const data = { ...given, eventIndex: session.nextIndex }
		if (missing > 0 || !fitsRecord(data)) {
			this.#sayTooMany(session.id, events.length + missing)
			return
		}
		const record = coreOf(this.#loop).publishOwn({ kind: CHECKPOINT_KIND, message: label ?? id, data })
		this.#repeatSeq = record?.seq ?? 0
	}

	#begin(session: SessionMemory): LogRecord | undefined {
		this.#session = session
		this.#published = []
		this.#dueSeq = undefined
		const { core } = coreOf(this.#loop)
		const undo = [
			core.onNewFile(this.#onNewFile),
			core.beforeClose(this.#beforeEnd),
			onExit('loop', this.#beforeEnd),
		]
		this.#unlisten = () => {
			for (const each of undo) each()
		}
		// Records that were published before the session, but are delivered later, do not belong to it.
		this.#seenSeq = this.#loop.stats().lastSeq
		this.#loop.on('*', this.#onRecord)
		const { id, nextIndex: firstIndex } = session
		return this.#publish({ action: 'start', recorder: this.#id, session: id, firstIndex })
	}

	/**
	 * Returns the session after processing every published record. Records that have not reached this listener,
	 * because their delivery is pending or was cut short, are read from the ring. Records that were evicted
	 * from the ring count as missing.
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

	/** Remembers a published checkpoint, and forgets those that no new file can need. */
	#keep(checkpoint: Checkpoint): void {
		const { committedSeq } = this.#loop
		const inFile = this.#published.findLastIndex(({ seq }) => seq <= committedSeq)
		const first = Math.max(inFile, this.#published.length - this.#bounds.checkpointsMax)
		this.#published = [...this.#published.slice(Math.max(0, first)), checkpoint]
		// A checkpoint that directly follows the beginning of a file needs no repetition.
		this.#dueSeq = undefined
	}

	#sayTooMany(session: string, events: number): void {
		if (this.#saidTooMany) return
		this.#saidTooMany = true
		const what = `session ${show(session)} has ${counted(events, 'event')} after its newest checkpoint`
		const text = `${what}, too many to repeat the checkpoint in a new file of the chain`
		const advice = 'record checkpoints more often, so that stateAt has a start after retention'
		warn('CHECKPOINT_NOT_REPEATED', `${text}: ${advice}`)
	}

	#publish(data: SessionRecord): LogRecord | undefined {
		const message = `session ${data.session}: ${data.action}`
		return coreOf(this.#loop).publishOwn({ kind: SESSION_KIND, message, data })
	}

	#refuseActive(what: string): void {
		if (!this.isActive) return
		const text = `the session ${show(this.#session?.id)} is active: call stop() before ${what}()`
		throw new MeshChainError('SESSION_ACTIVE', text)
	}
}

/** Returns the state as published, without data that `transform` removed. */
function stateOf(record: LogRecord): unknown {
	const data = checkpointRecordOf(record)
	return data === undefined ? record.data : data.state
}

/** Returns whether the data of a record is stored completely. */
function fitsRecord(data: CheckpointRecord): boolean {
	const events = data.repeats?.events ?? []
	let length = 0
	for (const text of events) length += text.length
	return length <= DATA_BYTES_MAX && canonicalise(data).markers === 0
}

/** @throws {MeshChainError} `INVALID_STATE` */
function canonicalRecord(data: CheckpointRecord): CheckpointRecord {
	const { value, markers } = canonicalise(data)
	if (markers === 0) return value as CheckpointRecord
	const wanted = 'a state must be plain data, less than 1 MiB and at most 31 levels deep'
	const found =
		'this state is too large, or contains a function, a symbol, a cycle or another value that is not data'
	throw new MeshChainError('INVALID_STATE', `${wanted}: ${found}`)
}
