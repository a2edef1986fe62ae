/** The sessions that a chain holds: found by seeks, in a chain of any size, also after a restart. */
import { type Chain, checkChain } from '../chain/index.ts'
import { recordToFields, toTagged } from '../codec/json-dialect.ts'
import { show } from '../guard/show.ts'
import { checkText, checkWholeNumber, invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { CheckpointMark, SessionMark } from '../model/own-events.ts'
import { type GapData, isGap, isOwnKind, type LogRecord } from '../model/record.ts'
import { EventIndex } from './event-index.ts'
import { checkpointMarkOf, checkpointOf, indexIn, markOf } from './mark.ts'
import { MarkWalk } from './mark-walk.ts'
import {
	CHECKPOINT_KIND,
	type Checkpoint,
	checkTime,
	type EventSlice,
	SESSION_KIND,
	type Session,
	type SessionEvent,
	type SessionInfo,
} from './session.ts'

/**
 * All sessions of a chain, by their beginnings. Reads their marks only. What came from other chains, by a merge or a replay, is none of its
 * sessions: seqs and epochs, by which a session is found, are those of the chain that it was recorded in.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export async function listSessions(chain: Chain): Promise<SessionInfo[]> {
	checkChain('a list of sessions needs a chain', chain, ['records'])
	const walk = new MarkWalk(chain)
	for await (const { record, mark } of marksIn(chain)) {
		if (record.origin === undefined) await walk.take(record, mark)
	}
	await walk.end()
	return walk.sessions.sort((a, b) => a.startSeq - b.startSeq)
}

/** Why sessions that somebody looks for are not among those of a chain: marks of theirs came from other ones. Undefined where none did. */
export async function marksFromElsewhere(chain: Chain): Promise<string | undefined> {
	let count = 0
	for await (const { record } of marksIn(chain)) if (record.origin !== undefined) count++
	if (count === 0) return undefined
	const came = count === 1 ? '1 session record came' : `${count.toLocaleString('en-US')} session records came`
	return `${came} from other chains (merge, replay): list them in the chain they came from`
}

async function* marksIn(
	chain: Chain,
): AsyncGenerator<{ readonly record: LogRecord; readonly mark: SessionMark | CheckpointMark }> {
	for await (const record of chain.records({ kind: [SESSION_KIND, CHECKPOINT_KIND], gaps: 'skip' })) {
		const mark = markOf(record)
		if (mark !== undefined) yield { record, mark }
	}
}

/**
 * One session of a chain, to ask what a `Recorder` can be asked, of all of its events.
 *
 * @param id of several sessions of one id the newest.
 * @throws {MeshChainError} `INVALID_OPTION`; `SESSION_NOT_FOUND`, naming those that there are.
 */
export async function openSession(chain: Chain, id: string): Promise<ChainSession> {
	checkChain('a session needs a chain', chain, ['records'])
	checkText('the id of a session', id)
	const sessions = await listSessions(chain)
	const info = sessions.findLast((session) => session.id === id)
	if (info !== undefined) return new ChainSession(chain, info)
	const known = sessions.slice(-5).map((session) => show(session.id))
	const text = known.length === 0 ? 'the chain holds none' : `the newest are ${known.join(', ')}`
	throw await sessionNotFound(chain, `there is no session ${show(id)}: ${text}`)
}

/** The error that says so, and where else to look. */
export async function sessionNotFound(chain: Chain, text: string): Promise<MeshChainError> {
	const elsewhere = await marksFromElsewhere(chain)
	const message = elsewhere === undefined ? text : `${text}; ${elsewhere}`
	return new MeshChainError('SESSION_NOT_FOUND', message, { path: chain.path })
}

interface SliceQuery {
	readonly since?: number
	readonly until?: number
	readonly kind?: string
}

export class ChainSession {
	readonly info: SessionInfo
	readonly #chain: Chain

	/** @throws {MeshChainError} `INVALID_OPTION` */
	constructor(chain: Chain, info: SessionInfo) {
		checkChain('a session needs a chain', chain, ['records'])
		if (typeof info?.id !== 'string') throw invalidOption('info', info, 'one that listSessions(chain) gives')
		this.#chain = chain
		this.info = info
	}

	/** Its checkpoints, oldest first. Reads mesh-chain's own records only. */
	async checkpoints(): Promise<Checkpoint[]> {
		const checkpoints: Checkpoint[] = []
		const { startSeq: fromSeq, endSeq: toSeq } = this.info
		for await (const record of this.#chain.records({ kind: CHECKPOINT_KIND, fromSeq, toSeq, gaps: 'skip' })) {
			const mark = checkpointMarkOf(record)
			if (mark?.session === this.info.id && record.origin === undefined)
				checkpoints.push(checkpointOf(record, mark))
		}
		return checkpoints
	}

	/** How many events it holds, absent records among them. */
	async count(): Promise<number> {
		const { startSeq, endSeq, firstIndex } = this.info
		return endSeq === startSeq ? 0 : (await this.#places()).indexOf(endSeq + 1) - firstIndex
	}

	/**
	 * The events of `[from, to)`, by index, one by one. Where records are absent, indexes are passed over.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	async *events(from = 0, to = Number.POSITIVE_INFINITY): AsyncGenerator<SessionEvent> {
		checkWholeNumber('from', from, 0)
		if (to !== Number.POSITIVE_INFINITY) checkWholeNumber('to', to, 0)
		const places = await this.#places()
		for await (const record of this.#between(places.seqOf(from), places.seqOf(to) - 1)) {
			if (!isGap(record)) yield { index: places.indexOf(record.seq), record }
		}
	}

	/**
	 * The events with this index and above.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	async eventsSince(index: number): Promise<EventSlice> {
		checkWholeNumber('index', index, 0)
		const places = await this.#places()
		const elsewhere = Math.max(0, this.info.firstIndex - index)
		return this.#slice({ places, elsewhere, fromSeq: places.seqOf(index) })
	}

	/**
	 * The events with a time from `from` to `to`, both inclusive; none when `from` is the later one.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	async eventsBetween(from: number | Date, to: number | Date): Promise<EventSlice> {
		const times = { since: checkTime('from', from), until: checkTime('to', to) }
		if (times.since > times.until) return { events: [], missing: 0 }
		return this.#slice({ query: times })
	}

	/**
	 * The events from one checkpoint up to another, in whichever order they are named; none between one and itself.
	 *
	 * @throws {MeshChainError} `CHECKPOINT_NOT_FOUND`, naming the first of them that is missing.
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
	 * The events of one kind, in order.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	async sequence(kind: string): Promise<EventSlice> {
		checkText('the kind of a sequence', kind)
		return this.#slice({ query: { kind } })
	}

	/** The whole session as plain data, in memory. */
	async export(): Promise<Session> {
		const { id, startedMs, stoppedMs } = this.info
		const { events, missing } = await this.#slice({})
		const checkpoints = await this.checkpoints()
		return {
			id,
			startedMs,
			stoppedMs,
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

	/** `elsewhere` counts events that were recorded before the session was imported here. */
	async #slice(wanted: {
		readonly places?: EventIndex
		readonly elsewhere?: number
		readonly fromSeq?: number
		readonly toSeq?: number
		readonly query?: SliceQuery
	}): Promise<EventSlice> {
		const { startSeq, endSeq, firstIndex } = this.info
		const { fromSeq = 0, toSeq = endSeq, query, elsewhere = firstIndex } = wanted
		const places = wanted.places ?? (await this.#places())
		const [from, to] = [Math.max(fromSeq, startSeq + 1), Math.min(toSeq, endSeq)]
		const events: SessionEvent[] = []
		let missing = elsewhere
		for await (const record of this.#between(from, to, query)) {
			if (isGap(record)) missing += absentWithin(places, record, from, to)
			else events.push({ index: places.indexOf(record.seq), record })
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

	async #places(): Promise<EventIndex> {
		const { id, startSeq, endSeq, firstIndex } = this.info
		const places = new EventIndex(startSeq, firstIndex)
		for await (const record of this.#chain.records({ kind: '$*', fromSeq: startSeq + 1, toSeq: endSeq })) {
			if (isGap(record)) {
				places.addGap(
					Math.max(record.data?.fromSeq ?? record.seq, startSeq + 1),
					Math.min(record.seq, endSeq),
				)
				continue
			}
			const isMark = record.kind === SESSION_KIND || record.kind === CHECKPOINT_KIND
			const mark = isMark ? markOf(record) : undefined
			const isOurs = mark?.session === id && record.origin === undefined
			places.addOwn(record.seq, isOurs ? indexIn(mark) : undefined)
		}
		return places
	}
}

/** A gap may reach beyond what was asked for. */
function absentWithin(
	places: EventIndex,
	{ data }: LogRecord<'$gap', GapData>,
	fromSeq: number,
	toSeq: number,
): number {
	if (data === undefined) return 0
	const events = places.eventsWithin(Math.max(data.fromSeq, fromSeq), Math.min(data.toSeq, toSeq))
	return Math.min(data.count, events)
}
