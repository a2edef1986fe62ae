/**
 * Holds the newest events and checkpoints of one session in memory, within bounds and independently of loops
 * and chains.
 */
import { fromTagged, recordFromFields, recordToFields, toTagged } from '../codec/json-dialect.ts'
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { isOwnKind, type LogRecord } from '../model/record.ts'
import type { Checkpoint, EventSlice, Session, SessionEvent } from './session.ts'

/** The bounds of a session in memory. */
export interface SessionBounds {
	readonly eventsMax: number
	readonly checkpointsMax: number
}

/** The newest events and checkpoints of one session. */
export class SessionMemory {
	readonly id: string
	startedMs: number
	stoppedMs: number | undefined
	readonly #bounds: SessionBounds
	/** Events, ordered by index. Indexes of missing events are skipped. Slots before `#first` are empty. */
	#events: (SessionEvent | undefined)[] = []
	#first = 0
	#nextIndex = 0
	#checkpoints: Checkpoint[] = []
	#droppedCheckpoints = 0
	/** Number of missing events whose times are unknown. */
	#lostEvents = 0
	/** Earliest and latest times of the other missing events. */
	#droppedMinMs = Number.POSITIVE_INFINITY
	#droppedMaxMs = Number.NEGATIVE_INFINITY

	constructor(session: { readonly id: string; readonly startedMs: number }, bounds: SessionBounds) {
		this.id = session.id
		this.startedMs = session.startedMs
		this.#bounds = bounds
	}

	/** @throws {MeshChainError} `INVALID_SESSION`. The message names the invalid part. */
	static from(session: Session, bounds: SessionBounds): SessionMemory {
		const { id, startedMs, events, checkpoints } = checked(session)
		const memory = new SessionMemory({ id, startedMs }, bounds)
		for (const [place, { index, record }] of events.entries()) {
			if (index < memory.nextIndex)
				throw invalid(`events[${place}].index must be higher than the previous index, not ${show(index)}`)
			memory.lose(index - memory.nextIndex)
			memory.add(readable(`events[${place}].record`, () => eventFrom(record)))
		}
		const isCounted = session.droppedEvents >= memory.#lostEvents
		if (!isCounted)
			throw invalid(`droppedEvents must be at least ${memory.#lostEvents}, because the indexes skip events`)
		memory.lose(session.droppedEvents - memory.#lostEvents)
		for (const [place, { id, label, state, eventIndex, tsMs, seq }] of checkpoints.entries()) {
			const known = readable(`checkpoints[${place}].state`, () => fromTagged(state))
			memory.addCheckpoint({ id, label: label ?? undefined, state: known, eventIndex, tsMs, seq })
		}
		memory.#droppedCheckpoints += session.droppedCheckpoints
		return memory
	}

	/** Index of the next event. */
	get nextIndex(): number {
		return this.#nextIndex
	}

	get eventCount(): number {
		return this.#events.length - this.#first
	}

	get checkpoints(): readonly Checkpoint[] {
		return [...this.#checkpoints]
	}

	add(record: LogRecord): void {
		this.#events.push(Object.freeze({ index: this.#nextIndex++, record }))
		if (this.eventCount > this.#bounds.eventsMax) this.#dropFirst()
	}

	/** Counts the next `count` events as missing. */
	lose(count: number): void {
		this.#nextIndex += count
		this.#lostEvents += count
	}

	addCheckpoint(checkpoint: Checkpoint): void {
		this.#checkpoints.push(checkpoint)
		if (this.#checkpoints.length <= this.#bounds.checkpointsMax) return
		this.#checkpoints.shift()
		this.#droppedCheckpoints++
	}

	/** Returns the events whose index is in `[from, to)`. */
	range(from: number, to: number): EventSlice {
		const end = Math.min(to, this.#nextIndex)
		if (from >= end) return { events: [], missing: 0 }
		const events = this.#events.slice(this.#placeOf(from), this.#placeOf(end)) as SessionEvent[]
		return { events, missing: end - from - events.length }
	}

	/** Returns the events whose time is in `[fromMs, toMs]`. */
	between(fromMs: number, toMs: number): EventSlice {
		const isTouched = this.#droppedMinMs <= toMs && this.#droppedMaxMs >= fromMs
		const events = this.#all(({ tsMs }) => tsMs >= fromMs && tsMs <= toMs)
		const missing = isTouched ? this.#droppedEvents : this.#lostEvents
		return { events, missing: fromMs <= toMs ? missing : 0 }
	}

	ofKind(kind: string): EventSlice {
		return { events: this.#all((record) => record.kind === kind), missing: this.#droppedEvents }
	}

	/** Returns a checkpoint. @throws {MeshChainError} `CHECKPOINT_NOT_FOUND`. The message contains the id. */
	checkpoint(id: string): Checkpoint {
		const found = this.#checkpoints.find((each) => each.id === id)
		if (found !== undefined) return found
		const dropped =
			this.#droppedCheckpoints === 0 ? '' : `; older checkpoints were dropped (${this.#droppedCheckpoints})`
		throw new MeshChainError(
			'CHECKPOINT_NOT_FOUND',
			`there is no checkpoint ${show(id)} in session ${show(this.id)}${dropped}`,
		)
	}

	toJSON(): Session {
		return {
			id: this.id,
			startedMs: this.startedMs,
			stoppedMs: this.stoppedMs ?? null,
			events: this.#all(() => true).map(({ index, record }) => ({ index, record: recordToFields(record) })),
			checkpoints: this.#checkpoints.map(({ id, label = null, state, eventIndex, tsMs, seq }) => ({
				id,
				label,
				state: toTagged(state),
				eventIndex,
				tsMs,
				seq,
			})),
			droppedEvents: this.#droppedEvents,
			droppedCheckpoints: this.#droppedCheckpoints,
		}
	}

	get #droppedEvents(): number {
		return this.#nextIndex - this.eventCount
	}

	#dropFirst(): void {
		const { tsMs } = this.#events[this.#first]!.record
		this.#droppedMinMs = Math.min(this.#droppedMinMs, tsMs)
		this.#droppedMaxMs = Math.max(this.#droppedMaxMs, tsMs)
		this.#events[this.#first++] = undefined
		if (this.#first * 2 <= this.#events.length) return
		this.#events = this.#events.slice(this.#first)
		this.#first = 0
	}

	/** Returns the slot of the first event whose index is `index` or higher. */
	#placeOf(index: number): number {
		let low = this.#first
		let high = this.#events.length
		while (low < high) {
			const middle = (low + high) >> 1
			if (this.#events[middle]!.index < index) low = middle + 1
			else high = middle
		}
		return low
	}

	#all(isWanted: (record: LogRecord) => boolean): SessionEvent[] {
		const held = this.#events.slice(this.#first) as SessionEvent[]
		return held.filter(({ record }) => isWanted(record))
	}
}

function checked(session: Session): Session {
	if (typeof session !== 'object' || session === null)
		throw invalid(`a session must be an object, not ${show(session)}`)
	const { id, startedMs, events, checkpoints, droppedEvents, droppedCheckpoints } = session
	if (typeof id !== 'string' || id === '') throw invalid(`id must be a non-empty string, not ${show(id)}`)
	for (const [name, value] of Object.entries({ startedMs, droppedEvents, droppedCheckpoints })) {
		if (!isIndex(value)) throw invalid(`${name} must be a whole number from 0, not ${show(value)}`)
	}
	const { stoppedMs } = session
	if (stoppedMs !== null && !isIndex(stoppedMs))
		throw invalid(`stoppedMs must be null or a whole number from 0`)
	if (!Array.isArray(events)) throw invalid('events must be an array')
	if (events.some((event) => !isIndex(event?.index)))
		throw invalid('every event must have an index of 0 or higher')
	if (!Array.isArray(checkpoints)) throw invalid('checkpoints must be an array')
	for (const [place, checkpoint] of checkpoints.entries()) {
		if (!isCheckpoint(checkpoint)) {
			throw invalid(`checkpoints[${place}] must have id, eventIndex, tsMs, seq, and a label (string or null)`)
		}
	}
	return session
}

function isCheckpoint(checkpoint: Session['checkpoints'][number] | null | undefined): boolean {
	const { id, label, eventIndex, tsMs, seq } = checkpoint ?? {}
	const isNamed = typeof id === 'string' && (typeof label === 'string' || label === null)
	return isNamed && isIndex(eventIndex) && isIndex(tsMs) && isIndex(seq)
}

function eventFrom(fields: unknown): LogRecord {
	const record = recordFromFields(fields)
	if (isOwnKind(record.kind)) throw invalid(`a ${record.kind} record is not an event`)
	return Object.freeze(record)
}

function readable<T>(where: string, read: () => T): T {
	try {
		return read()
	} catch (error) {
		throw invalid(`${where}: ${messageOf(error)}`)
	}
}

function isIndex(value: unknown): boolean {
	return Number.isSafeInteger(value) && (value as number) >= 0
}

function invalid(what: string): MeshChainError {
	return new MeshChainError('INVALID_SESSION', `not an exported session: ${what}`)
}
