/** Derives the sessions in a chain from its session records. */
import type { Chain } from '../chain/index.ts'
import { firstSeqAfterEpoch, lastUpTo } from '../consume/epoch-end.ts'
import type { CheckpointRecord, SessionRecord } from '../model/own-events.ts'
import type { LogRecord } from '../model/record.ts'
import type { SessionInfo } from './session.ts'
import { indexIn } from './session-record.ts'

type OpenSession = Omit<SessionInfo, 'stoppedMs' | 'endSeq'>
type StartRecord = SessionRecord & { readonly action: 'start' }
type StopRecord = SessionRecord & { readonly action: 'stop' }

/** Processes the session records of a chain in order. Some of the records may be absent. */
export class SessionWalk {
	readonly sessions: SessionInfo[] = []
	readonly #chain: Chain
	/** Open sessions, keyed by recorder id, because several recorders may be active at the same time. */
	readonly #open = new Map<string, OpenSession>()

	constructor(chain: Chain) {
		this.#chain = chain
	}

	async take(record: LogRecord, data: SessionRecord | CheckpointRecord): Promise<void> {
		const before = this.#open.get(data.recorder)
		const isStart = 'firstIndex' in data
		let session = before
		if (isStart || before?.id !== data.session) {
			session = isStart ? startedBy(record, data) : await startedBefore(this.#chain, record, data)
			if (before !== undefined) await this.#unended(before, session.startSeq - 1)
			this.#open.set(data.recorder, session)
		}
		if (session === undefined || !('nextIndex' in data)) return
		this.sessions.push({ ...session, stoppedMs: record.tsMs, endSeq: record.seq })
		this.#open.delete(data.recorder)
	}

	/** Adds the sessions that have no stop record. */
	async end(): Promise<void> {
		for (const session of this.#open.values()) await this.#unended(session, Number.MAX_SAFE_INTEGER)
	}

	/**
	 * Adds a session that has no stop record, because its process died or the session is still active. The
	 * session ends at the end of its epoch, or before the recorder's next session.
	 */
	async #unended(session: OpenSession, toSeq: number): Promise<void> {
		const endSeq = await lastSeqOfEpoch(this.#chain, session, toSeq)
		this.sessions.push({ ...session, stoppedMs: undefined, endSeq })
	}
}

function startedBy(start: LogRecord, data: StartRecord): OpenSession {
	const { session: id, firstIndex } = data
	return { id, epoch: start.epoch, startedMs: start.tsMs, startSeq: start.seq, firstIndex }
}

/**
 * Finds the start of a session whose start record is damaged or was removed by retention. A later checkpoint
 * or stop record of the session states how many events precede it.
 */
async function startedBefore(
	chain: Chain,
	{ seq, epoch, tsMs }: LogRecord,
	data: CheckpointRecord | StopRecord,
): Promise<OpenSession> {
	let startSeq = seq - 1
	let events = indexIn(data)
	for await (const own of chain.records({ kind: '$*', toSeq: startSeq, reverse: true, gaps: 'skip' })) {
		const between = startSeq - own.seq
		if (between >= events) break
		events -= between
		startSeq = own.seq - 1
	}
	startSeq = Math.max(0, startSeq - events)
	let startedMs = tsMs
	for await (const first of chain.records({ fromSeq: startSeq + 1, limit: 1, gaps: 'skip' }))
		startedMs = first.tsMs
	return { id: data.session, epoch, startedMs, startSeq, firstIndex: 0 }
}

/** Returns the last seq of an epoch. Absent records before the next epoch count as part of this epoch. */
async function lastSeqOfEpoch(
	chain: Chain,
	{ epoch, startSeq }: OpenSession,
	toSeq: number,
): Promise<number> {
	const last = await lastUpTo(chain, toSeq)
	if (last === undefined || last.epoch === epoch) return Math.max(startSeq, last?.seq ?? 0)
	const laterSeq = await firstSeqAfterEpoch(chain, epoch, { afterSeq: startSeq, laterSeq: last.seq })
	return Math.max(startSeq, laterSeq - 1)
}
