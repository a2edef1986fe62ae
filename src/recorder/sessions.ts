/** The sessions that a chain holds: found by seeks, in a chain of any size, also after a restart. */
import type { Chain } from '../chain/chain.ts'
import { recordToFields, toTagged } from '../codec/json-dialect.ts'
import { MeshChainError } from '../errors.ts'
import { isGap, type LogRecord, show } from '../record.ts'
import {
	CHECKPOINT_KIND,
	type Checkpoint,
	type CheckpointMark,
	type EventSlice,
	SESSION_KIND,
	type Session,
	type SessionEvent,
	type SessionMark,
} from './session.ts'

/** One session of a chain. */
export interface SessionInfo {
	readonly id: string
	readonly epoch: number
	readonly startedMs: number
	/** Null when it is active, or its process died. */
	readonly stoppedMs: number | null
	/** Of the record that began it. */
	readonly startSeq: number
	/** Of the record that ended it, or of the last one that it holds. */
	readonly endSeq: number
	/** Index of its first event here: above 0 where it was imported. */
	readonly firstIndex: number
}

/** All sessions of a chain, oldest first. Reads their marks only. */
export async function listSessions(chain: Chain): Promise<SessionInfo[]> {
	const sessions: SessionInfo[] = []
	let open: LogRecord | undefined
	for await (const record of chain.records({ kind: SESSION_KIND, gaps: 'skip' })) {
		const mark = markOf<SessionMark>(record, 'session')
		if (mark === undefined || record.origin !== undefined) continue
		if (
			open !== undefined &&
			(mark.action === 'start' || markOf<SessionMark>(open, 'session')?.session !== mark.session)
		) {
			sessions.push(await unended(chain, open, record.seq))
			open = undefined
		}
		if (mark.action === 'start') open = record
		else if (open !== undefined) {
			sessions.push(infoOf(open, { stoppedMs: record.tsMs, endSeq: record.seq }))
			open = undefined
		}
	}
	if (open !== undefined) sessions.push(await unended(chain, open, Number.MAX_SAFE_INTEGER))
	return sessions
}

/**
 * One session of a chain, to ask what a `Recorder` can be asked, of all of its events.
 *
 * @param id of several sessions of one id the newest.
 * @throws {MeshChainError} `SESSION_NOT_FOUND`, naming those that there are.
 */
export async function openSession(chain: Chain, id: string): Promise<ChainSession> {
	const sessions = await listSessions(chain)
	const info = sessions.findLast((session) => session.id === id)
	if (info !== undefined) return new ChainSession(chain, info)
	const known = sessions.slice(-5).map((session) => show(session.id))
	const text = known.length === 0 ? 'the chain holds none' : `the newest are ${known.join(', ')}`
	throw new MeshChainError('SESSION_NOT_FOUND', `there is no session ${show(id)}: ${text}`, {
		path: chain.path,
	})
}

export class ChainSession {
	readonly info: SessionInfo
	readonly #chain: Chain

	constructor(chain: Chain, info: SessionInfo) {
		this.#chain = chain
		this.info = info
	}

	/** Its checkpoints, oldest first. Reads mesh-chain's own records only. */
	async checkpoints(): Promise<Checkpoint[]> {
		const checkpoints: Checkpoint[] = []
		const { startSeq: fromSeq, endSeq: toSeq } = this.info
		for await (const record of this.#chain.records({ kind: CHECKPOINT_KIND, fromSeq, toSeq, gaps: 'skip' })) {
			const mark = markOf<CheckpointMark>(record, 'id')
			if (mark?.session === this.info.id && record.origin === undefined)
				checkpoints.push(checkpointOf(record, mark))
		}
		return checkpoints
	}

	/** The events of `[from, to)`, by index, one by one. Where records are absent, indexes are passed over. */
	async *events(from = 0, to = Number.POSITIVE_INFINITY): AsyncGenerator<SessionEvent> {
		const places = await this.#places()
		for await (const record of this.#between(places.seqOf(from), places.seqOf(to) - 1)) {
			if (!isGap(record)) yield { index: places.indexOf(record.seq), record }
		}
	}

	/** The events with this index and above. */
	async eventsSince(index: number): Promise<EventSlice> {
		const places = await this.#places()
		return this.#slice(places, places.seqOf(index), this.info.endSeq)
	}

	/** The events with a time from `from` to `to`, both inclusive; none when `from` is the later one. */
	async eventsBetween(from: number | Date, to: number | Date): Promise<EventSlice> {
		if (Number(from) > Number(to)) return { events: [], missing: 0 }
		const times = { since: Number(from), until: Number(to) }
		return this.#slice(await this.#places(), this.info.startSeq, this.info.endSeq, times)
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
			if (found !== undefined) return found.eventIndex
			const text = `there is no checkpoint ${show(id)} in session ${show(this.info.id)}`
			throw new MeshChainError('CHECKPOINT_NOT_FOUND', text, { path: this.#chain.path })
		}) as [number, number]
		const places = await this.#places()
		const [from, to] = [Math.min(first, second), Math.max(first, second)]
		return from === to
			? { events: [], missing: 0 }
			: this.#slice(places, places.seqOf(from), places.seqOf(to) - 1)
	}

	/** The events of one kind, in order. */
	async sequence(kind: string): Promise<EventSlice> {
		return this.#slice(await this.#places(), this.info.startSeq, this.info.endSeq, { kind })
	}

	/** The whole session as plain data, in memory. */
	async export(): Promise<Session> {
		const { id, startedMs, stoppedMs, startSeq, endSeq } = this.info
		const { events, missing } = await this.#slice(await this.#places(), startSeq, endSeq)
		const checkpoints = await this.checkpoints()
		return {
			id,
			startedMs,
			stoppedMs,
			events: events.map(({ record }, place) => ({
				index: (events[0]?.index ?? 0) + place,
				record: recordToFields(record),
			})),
			checkpoints: checkpoints.map(({ label = null, state, ...rest }) => ({
				...rest,
				label,
				state: toTagged(state),
			})),
			droppedEvents: missing,
			droppedCheckpoints: 0,
		}
	}

	async #slice(
		places: Places,
		fromSeq: number,
		toSeq: number,
		query: { since?: number; until?: number; kind?: string } = {},
	): Promise<EventSlice> {
		const events: SessionEvent[] = []
		let missing = 0
		for await (const record of this.#between(fromSeq, toSeq, query)) {
			if (isGap(record)) missing += record.data?.count ?? 0
			else events.push({ index: places.indexOf(record.seq), record })
		}
		return { events, missing }
	}

	async *#between(
		fromSeq: number,
		toSeq: number,
		query: { since?: number; until?: number; kind?: string } = {},
	): AsyncGenerator<LogRecord> {
		const from = Math.max(fromSeq, this.info.startSeq + 1)
		const to = Math.min(toSeq, this.info.endSeq)
		if (from > to) return
		for await (const record of this.#chain.records({ ...query, fromSeq: from, toSeq: to })) {
			if (isGap(record) || !record.kind.startsWith('$')) yield record
		}
	}

	async #places(): Promise<Places> {
		const own: number[] = []
		const { startSeq, endSeq, firstIndex } = this.info
		for await (const { seq } of this.#chain.records({
			kind: '$*',
			fromSeq: startSeq + 1,
			toSeq: endSeq,
			gaps: 'skip',
		})) {
			own.push(seq)
		}
		return new Places(startSeq, firstIndex, own)
	}
}

/** Which event stands at which seq: every record but mesh-chain's own is one; an absent one counts as one that was. */
class Places {
	readonly #startSeq: number
	readonly #firstIndex: number
	/** Rising. */
	readonly #own: readonly number[]

	constructor(startSeq: number, firstIndex: number, own: readonly number[]) {
		this.#startSeq = startSeq
		this.#firstIndex = firstIndex
		this.#own = own
	}

	indexOf(seq: number): number {
		return this.#firstIndex + seq - this.#startSeq - 1 - this.#ownBelow(seq)
	}

	/** The seq of an event; Infinity for index Infinity. */
	seqOf(index: number): number {
		let seq = this.#startSeq + 1 + Math.max(0, index - this.#firstIndex)
		for (const own of this.#own) {
			if (own > seq) break
			seq++
		}
		return seq
	}

	#ownBelow(seq: number): number {
		let low = 0
		let high = this.#own.length
		while (low < high) {
			const middle = (low + high) >> 1
			if (this.#own[middle]! < seq) low = middle + 1
			else high = middle
		}
		return low
	}
}

/** What a mark carries; undefined for a record that somebody else wrote under its kind. */
export function markOf<M>({ data }: LogRecord, key: keyof M & string): M | undefined {
	if (typeof data !== 'object' || data === null) return undefined
	return typeof (data as Readonly<Record<string, unknown>>)[key] === 'string' ? (data as M) : undefined
}

export function checkpointOf<S>({ seq, tsMs }: LogRecord, mark: CheckpointMark): Checkpoint<S> {
	const { id, label, eventIndex, state } = mark
	return { id, label: label ?? undefined, state: state as S, eventIndex, tsMs, seq }
}

function infoOf(
	start: LogRecord,
	end: { readonly stoppedMs: number | null; readonly endSeq: number },
): SessionInfo {
	const mark = start.data as SessionMark
	const firstIndex = mark.action === 'start' ? mark.firstIndex : 0
	return {
		id: mark.session,
		epoch: start.epoch,
		startedMs: start.tsMs,
		startSeq: start.seq,
		firstIndex,
		...end,
	}
}

/** Its process died, or it goes on: it ends with its epoch, or before the next one. */
async function unended(chain: Chain, start: LogRecord, nextSeq: number): Promise<SessionInfo> {
	const endSeq = await lastSeqOfEpoch(chain, start, nextSeq - 1)
	return infoOf(start, { stoppedMs: null, endSeq })
}

/** Epochs never step back: a bisection by seeks. */
async function lastSeqOfEpoch(chain: Chain, start: LogRecord, toSeq: number): Promise<number> {
	const last = await newestUpTo(chain, toSeq)
	if (last === undefined || last.epoch === start.epoch) return last?.seq ?? start.seq
	let known = start.seq
	let later = last.seq
	while (later - known > 1) {
		const middle = Math.floor((known + later) / 2)
		const found = await newestUpTo(chain, middle)
		if (found !== undefined && found.epoch > start.epoch) later = found.seq
		else known = middle
	}
	return known
}

async function newestUpTo(chain: Chain, toSeq: number): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ toSeq, reverse: true, limit: 1, gaps: 'skip' })) return record
	return undefined
}
