/** Finds the sessions in a chain of any size by seeking, even after a restart. */
import { type Chain, checkChain } from '../chain/index.ts'
import { recordToFields, toTagged } from '../codec/json-dialect.ts'
import { show } from '../guard/show.ts'
import { checkText, checkWholeNumber, invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { CheckpointRecord, SessionRecord } from '../model/own-events.ts'
import { type GapData, isGap, isOwnKind, type LogRecord } from '../model/record.ts'
import { counted } from '../text/numbers.ts'
import { EventIndex } from './event-index.ts'
import {
	type Checkpoint,
	checkTime,
	type EventSlice,
	type Session,
	type SessionEvent,
	type SessionInfo,
} from './session.ts'
import {
	CHECKPOINT_KIND,
	checkpointOf,
	checkpointRecordOf,
	indexIn,
	SESSION_KIND,
	sessionRecordOf,
} from './session-record.ts'
import { SessionWalk } from './session-walk.ts'

/**
 * Returns all sessions in a chain, in the order in which they started. Reads only session records. Session
 * records that a merge or a replay copied from other chains are ignored, because the seqs and epochs of a
 * session are valid only in the chain in which it was recorded.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export async function listSessions(chain: Chain): Promise<SessionInfo[]> {
	checkChain('listing sessions requires a chain', chain, ['records'])
	const walk = new SessionWalk(chain)
	for await (const { record, data } of sessionRecordsIn(chain)) {
		if (record.origin === undefined) await walk.take(record, data)
	}
	await walk.end()
	return walk.sessions.sort((a, b) => a.startSeq - b.startSeq)
}

/**
 * If the chain contains session records from other chains, returns a text that explains why those sessions
 * are not listed. Otherwise, returns undefined.
 */
export async function sessionRecordsFromElsewhere(chain: Chain): Promise<string | undefined> {
	let count = 0
	for await (const { record } of sessionRecordsIn(chain)) if (record.origin !== undefined) count++
	if (count === 0) return undefined
	const records = counted(count, 'session record')
	return `${records} came from other chains (merge, replay): list those sessions in their original chains`
}

async function* sessionRecordsIn(
	chain: Chain,
): AsyncGenerator<{ readonly record: LogRecord; readonly data: SessionRecord | CheckpointRecord }> {
	for await (const record of chain.records({ kind: [SESSION_KIND, CHECKPOINT_KIND], gaps: 'skip' })) {
		const data = sessionRecordOf(record)
		if (data !== undefined) yield { record, data }
	}
}

/**
 * Opens one session in a chain. The result supports the same queries as a `Recorder`, across all events in
 * the session.
 *
 * @param id Id of the session. If several sessions have this id, the newest one is opened.
 * @throws {MeshChainError} `INVALID_OPTION`, or `SESSION_NOT_FOUND` if the chain does not contain the session
 */
export async function openSession(chain: Chain, id: string): Promise<ChainSession> {
	checkChain('a session needs a chain', chain, ['records'])
	checkText('the id of a session', id)
	const sessions = await listSessions(chain)
	const info = sessions.findLast((session) => session.id === id)
	if (info !== undefined) return new ChainSession(chain, info)
	const known = sessions.slice(-5).map((session) => show(session.id))
	const text = known.length === 0 ? 'the chain has no sessions' : `the newest are ${known.join(', ')}`
	throw await sessionNotFound(chain, `there is no session ${show(id)}: ${text}`)
}

/** Returns the error for a missing session, with a hint about sessions in other chains. */
export async function sessionNotFound(chain: Chain, text: string): Promise<MeshChainError> {
	const elsewhere = await sessionRecordsFromElsewhere(chain)
	const message = elsewhere === undefined ? text : `${text}; ${elsewhere}`
	return new MeshChainError('SESSION_NOT_FOUND', message, { path: chain.path })
}

interface SliceQuery {
	readonly since?: number
	readonly until?: number
	readonly kind?: string
}

/** One session in a chain, with queries over all its events. */
export class ChainSession {
	/** Description of the session. */
	readonly info: SessionInfo
	readonly #chain: Chain

	/** @throws {MeshChainError} `INVALID_OPTION` */
	constructor(chain: Chain, info: SessionInfo) {
		checkChain('a session needs a chain', chain, ['records'])
		if (typeof info?.id !== 'string')
			throw invalidOption('info', info, 'a SessionInfo from listSessions(chain)')
		this.#chain = chain
		this.info = info
	}

	/** Returns the checkpoints of the session, oldest first. Reads only checkpoint records. */
	async checkpoints(): Promise<Checkpoint[]> {
		const checkpoints: Checkpoint[] = []
		const { startSeq: fromSeq, endSeq: toSeq } = this.info
		for await (const record of this.#chain.records({ kind: CHECKPOINT_KIND, fromSeq, toSeq, gaps: 'skip' })) {
			const data = checkpointRecordOf(record)
			if (data === undefined || data.repeats !== undefined || record.origin !== undefined) continue
			if (data.session === this.info.id) checkpoints.push(checkpointOf(record, data))
		}
		return checkpoints
	}

	/** Returns the number of events in the session, including absent events. */
	async count(): Promise<number> {
		const { startSeq, endSeq, firstIndex } = this.info
		return endSeq === startSeq ? 0 : (await this.#lookup()).indexOf(endSeq + 1) - firstIndex
	}

	/**
	 * Yields the events whose index is in `[from, to)`. The indexes of absent events are skipped.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	async *events(from = 0, to = Number.POSITIVE_INFINITY): AsyncGenerator<SessionEvent> {
		checkWholeNumber('from', from, 0)
		if (to !== Number.POSITIVE_INFINITY) checkWholeNumber('to', to, 0)
		const lookup = await this.#lookup()
		for await (const record of this.#between(lookup.seqOf(from), lookup.seqOf(to) - 1)) {
			if (!isGap(record)) yield { index: lookup.indexOf(record.seq), record }
		}
	}

	/**
	 * Returns the events whose index is `index` or higher.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	async eventsSince(index: number): Promise<EventSlice> {
		checkWholeNumber('index', index, 0)
		const lookup = await this.#lookup()
		const elsewhere = Math.max(0, this.info.firstIndex - index)
		return this.#slice({ lookup, elsewhere, fromSeq: lookup.seqOf(index) })
	}

	/**
	 * Returns the events with a time between `from` and `to`, inclusive. Returns no events if `from` is later
	 * than `to`.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	async eventsBetween(from: number | Date, to: number | Date): Promise<EventSlice> {
		const times = { since: checkTime('from', from), until: checkTime('to', to) }
		if (times.since > times.until) return { events: [], missing: 0 }
		return this.#slice({ query: times })
	}

	/**
	 * Returns the events between two checkpoints, which can be passed in either order. Returns no events if
	 * both are the same checkpoint.
	 *
	 * @throws {MeshChainError} `CHECKPOINT_NOT_FOUND` if a checkpoint is missing
	 */
	async eventsBetweenCheckpoints(a: string, b: string): Promise<EventSlice> {
		const checkpoints = await this.checkpoints()
		const [first, second] = [a, b].map((id) => {
			const found = checkpoints.find((each) => each.id === id)
			if (found !== undefined) return found.seq
			const text = `there is no checkpoint ${show(id)} in session ${show(this.info.id)}`
			throw new MeshChainError('CHECKPOINT_NOT_FOUND', text, { path: this.#chain.path })
		}) as [number, number]
		const [fromSeq, toSeq] = [Math.min(first, second) + 1, Math.max(first, second) - 1]
		return this.#slice({ elsewhere: 0, fromSeq, toSeq })
	}

	/**
	 * Returns the events of one kind, in order.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	async sequence(kind: string): Promise<EventSlice> {
		checkText('the kind of a sequence', kind)
		return this.#slice({ query: { kind } })
	}

	/** Reads the complete session into memory and returns it as plain JSON data. */
	async export(): Promise<Session> {
		const { id, startedMs, stoppedMs } = this.info
		const { events, missing } = await this.#slice({})
		const checkpoints = await this.checkpoints()
		return {
			id,
			startedMs,
			stoppedMs: stoppedMs ?? null,
			events: events.map(({ index, record }) => ({ index, record: recordToFields(record) })),
			checkpoints: checkpoints.map(({ label = null, state, ...rest }) => ({
				...rest,
				label,
				state: toTagged(state),
			})),
			droppedEvents: missing,
			droppedCheckpoints: 0,
		}
	}

	/**
	 * @param wanted `elsewhere`: number of matching events that were recorded before the session was imported
	 * into this chain.
	 */
	async #slice(wanted: {
		readonly lookup?: EventIndex
		readonly elsewhere?: number
		readonly fromSeq?: number
		readonly toSeq?: number
		readonly query?: SliceQuery
	}): Promise<EventSlice> {
		const { startSeq, endSeq, firstIndex } = this.info
		const { fromSeq = 0, toSeq = endSeq, query, elsewhere = firstIndex } = wanted
		const lookup = wanted.lookup ?? (await this.#lookup())
		const [from, to] = [Math.max(fromSeq, startSeq + 1), Math.min(toSeq, endSeq)]
		const events: SessionEvent[] = []
		let missing = elsewhere
		for await (const record of this.#between(from, to, query)) {
			if (isGap(record)) missing += absentWithin(lookup, record, from, to)
			else events.push({ index: lookup.indexOf(record.seq), record })
		}
		return { events, missing }
	}

	async *#between(fromSeq: number, toSeq: number, query: SliceQuery = {}): AsyncGenerator<LogRecord> {
		const from = Math.max(fromSeq, this.info.startSeq + 1)
		const to = Math.min(toSeq, this.info.endSeq)
		if (from > to) return
		for await (const record of this.#chain.records({ ...query, fromSeq: from, toSeq: to })) {
			if (isGap(record) || !isOwnKind(record.kind)) yield record
		}
	}

	async #lookup(): Promise<EventIndex> {
		const { id, startSeq, endSeq, firstIndex } = this.info
		const lookup = new EventIndex(startSeq, firstIndex)
		for await (const record of this.#chain.records({ kind: '$*', fromSeq: startSeq + 1, toSeq: endSeq })) {
			if (isGap(record)) {
				lookup.addGap(
					Math.max(record.data?.fromSeq ?? record.seq, startSeq + 1),
					Math.min(record.seq, endSeq),
				)
				continue
			}
			const isSessionRecord = record.kind === SESSION_KIND || record.kind === CHECKPOINT_KIND
			const data = isSessionRecord ? sessionRecordOf(record) : undefined
			const isOurs = data?.session === id && record.origin === undefined
			lookup.addOwn(record.seq, isOurs ? indexIn(data) : undefined)
		}
		return lookup
	}
}

/**
 * Returns an upper bound on the number of absent events in the part of a gap that is within the queried
 * range.
 */
function absentWithin(
	lookup: EventIndex,
	{ data }: LogRecord<'$gap', GapData>,
	fromSeq: number,
	toSeq: number,
): number {
	if (data === undefined) return 0
	const events = lookup.eventsWithin(Math.max(data.fromSeq, fromSeq), Math.min(data.toSeq, toSeq))
	return Math.min(data.count, events)
}
