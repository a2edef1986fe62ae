/** One session in memory: so many events and checkpoints, the newest of them. Knows no loop and no chain. */
import { RecordQueue } from '../appenders/record-queue.ts'
import { fromTagged, recordFromFields, recordToFields, toTagged } from '../codec/json-dialect.ts'
import { MeshChainError, messageOf } from '../errors.ts'
import { type LogRecord, show } from '../record.ts'
import type { Checkpoint, EventSlice, Session, SessionEvent } from './session.ts'

export interface SessionBounds {
	readonly maxEvents: number
	readonly maxCheckpoints: number
}

export class SessionMemory {
	readonly id: string
	readonly startedMs: number
	stoppedMs: number | null = null
	readonly #bounds: SessionBounds
	/** The position of an event is its index. */
	readonly #events: RecordQueue
	#checkpoints: Checkpoint[] = []
	#droppedEvents = 0
	#droppedCheckpoints = 0
	/** The times of those that were dropped. */
	#droppedMinMs = Number.POSITIVE_INFINITY
	#droppedMaxMs = Number.NEGATIVE_INFINITY

	constructor(
		session: { readonly id: string; readonly startedMs: number },
		bounds: SessionBounds,
		firstIndex = 0,
	) {
		this.id = session.id
		this.startedMs = session.startedMs
		this.#bounds = bounds
		this.#events = new RecordQueue(firstIndex)
	}

	/** @throws {MeshChainError} `INVALID_SESSION`, naming what is wrong. */
	static from(session: Session, bounds: SessionBounds): SessionMemory {
		const { id, startedMs, events, checkpoints } = checked(session)
		const memory = new SessionMemory({ id, startedMs }, bounds, events[0]?.index ?? 0)
		for (const [place, { index, record }] of events.entries()) {
			if (index !== memory.nextIndex)
				throw invalid(`events[${place}].index must be ${memory.nextIndex}, not ${show(index)}`)
			memory.add(readable(`events[${place}].record`, () => recordFromFields(record)))
		}
		for (const [place, { label, state, ...rest }] of checkpoints.entries()) {
			const known = readable(`checkpoints[${place}].state`, () => fromTagged(state))
			memory.addCheckpoint({ ...rest, label: label ?? undefined, state: known })
		}
		memory.#droppedEvents += session.droppedEvents
		memory.#droppedCheckpoints += session.droppedCheckpoints
		return memory
	}

	/** Of the event that comes next. */
	get nextIndex(): number {
		return this.#events.end
	}

	get checkpoints(): readonly Checkpoint[] {
		return [...this.#checkpoints]
	}

	add(record: LogRecord): void {
		this.#events.push(record)
		if (this.#events.count <= this.#bounds.maxEvents) return
		const { tsMs } = this.#events.at(this.#events.first)
		this.#droppedMinMs = Math.min(this.#droppedMinMs, tsMs)
		this.#droppedMaxMs = Math.max(this.#droppedMaxMs, tsMs)
		this.#droppedEvents++
		this.#events.shift()
	}

	addCheckpoint(checkpoint: Checkpoint): void {
		this.#checkpoints.push(checkpoint)
		if (this.#checkpoints.length <= this.#bounds.maxCheckpoints) return
		this.#checkpoints.shift()
		this.#droppedCheckpoints++
	}

	/** The events of `[from, to)`, by index. */
	range(from: number, to: number): EventSlice {
		const { first, end } = this.#events
		const start = Math.max(from, first)
		const events: SessionEvent[] = []
		for (let index = start; index < Math.min(to, end); index++)
			events.push({ index, record: this.#events.at(index) })
		const firstKnown = first - this.#droppedEvents
		return { events, missing: Math.max(0, Math.min(to, first) - Math.max(from, firstKnown)) }
	}

	/** Those with a time in `[fromMs, toMs]`, both inclusive. */
	between(fromMs: number, toMs: number): EventSlice {
		const isTouched = this.#droppedMinMs <= toMs && this.#droppedMaxMs >= fromMs
		// An imported session does not tell the times of what was dropped before.
		const isUnknown = this.#droppedEvents > 0 && this.#droppedMaxMs === Number.NEGATIVE_INFINITY
		const events = this.#all(({ tsMs }) => tsMs >= fromMs && tsMs <= toMs)
		return { events, missing: fromMs <= toMs && (isTouched || isUnknown) ? this.#droppedEvents : 0 }
	}

	ofKind(kind: string): EventSlice {
		return { events: this.#all((record) => record.kind === kind), missing: this.#droppedEvents }
	}

	/** @throws {MeshChainError} `CHECKPOINT_NOT_FOUND`, naming it. */
	checkpoint(id: string): Checkpoint {
		const found = this.#checkpoints.find((each) => each.id === id)
		if (found !== undefined) return found
		const dropped =
			this.#droppedCheckpoints === 0 ? '' : `; the oldest ${this.#droppedCheckpoints} were dropped`
		throw new MeshChainError(
			'CHECKPOINT_NOT_FOUND',
			`there is no checkpoint ${show(id)} in session ${show(this.id)}${dropped}`,
		)
	}

	toJSON(): Session {
		return {
			id: this.id,
			startedMs: this.startedMs,
			stoppedMs: this.stoppedMs,
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

	#all(isWanted: (record: LogRecord) => boolean): SessionEvent[] {
		const events: SessionEvent[] = []
		for (let index = this.#events.first; index < this.#events.end; index++) {
			const record = this.#events.at(index)
			if (isWanted(record)) events.push({ index, record })
		}
		return events
	}
}

function checked(session: Session): Session {
	if (typeof session !== 'object' || session === null)
		throw invalid(`it must be an object, not ${show(session)}`)
	const { id, startedMs, events, checkpoints, droppedEvents, droppedCheckpoints } = session
	if (typeof id !== 'string' || id === '') throw invalid(`id must be a text, not ${show(id)}`)
	for (const [name, value] of Object.entries({ startedMs, droppedEvents, droppedCheckpoints })) {
		if (!isIndex(value)) throw invalid(`${name} must be a whole number from 0, not ${show(value)}`)
	}
	if (!Array.isArray(events)) throw invalid('events must be an array')
	if (events.some((event) => !isIndex(event?.index))) throw invalid('every event needs an index from 0')
	if (!Array.isArray(checkpoints)) throw invalid('checkpoints must be an array')
	for (const [place, checkpoint] of checkpoints.entries()) {
		const isWhole =
			typeof checkpoint?.id === 'string' && isIndex(checkpoint.eventIndex) && isIndex(checkpoint.tsMs)
		if (!isWhole) throw invalid(`checkpoints[${place}] needs id, eventIndex and tsMs`)
	}
	return session
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
	return new MeshChainError('INVALID_SESSION', `this is no session that was exported: ${what}`)
}
