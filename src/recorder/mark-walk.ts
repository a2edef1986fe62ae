/** From the marks of a chain to its sessions. */
import type { Chain } from '../chain/index.ts'
import { firstSeqBehindEpoch, lastUpTo } from '../consume/epoch-end.ts'
import type { CheckpointMark, SessionMark } from '../model/own-events.ts'
import type { LogRecord } from '../model/record.ts'
import { indexIn } from './mark.ts'
import type { SessionInfo } from './session.ts'

type OpenSession = Omit<SessionInfo, 'stoppedMs' | 'endSeq'>
type StartMark = SessionMark & { readonly action: 'start' }
type StopMark = SessionMark & { readonly action: 'stop' }

/** Follows the marks of a chain, in order, some of which may be gone. */
export class MarkWalk {
	readonly sessions: SessionInfo[] = []
	readonly #chain: Chain
	/** By recorder, of which several may be at work at a time. */
	readonly #open = new Map<string, OpenSession>()

	constructor(chain: Chain) {
		this.#chain = chain
	}

	async take(record: LogRecord, mark: SessionMark | CheckpointMark): Promise<void> {
		const before = this.#open.get(mark.recorder)
		const isStart = 'firstIndex' in mark
		let session = before
		if (isStart || before?.id !== mark.session) {
			session = isStart ? startedBy(record, mark) : await startedBefore(this.#chain, record, mark)
			if (before !== undefined) await this.#unended(before, session.startSeq - 1)
			this.#open.set(mark.recorder, session)
		}
		if (session === undefined || !('nextIndex' in mark)) return
		this.sessions.push({ ...session, stoppedMs: record.tsMs, endSeq: record.seq })
		this.#open.delete(mark.recorder)
	}

	/** What is open behind the last mark. */
	async end(): Promise<void> {
		for (const session of this.#open.values()) await this.#unended(session, Number.MAX_SAFE_INTEGER)
	}

	/** Its process died, or it goes on: it ends with its epoch, or before the next one. */
	async #unended(session: OpenSession, toSeq: number): Promise<void> {
		const endSeq = await lastSeqOfEpoch(this.#chain, session, toSeq)
		this.sessions.push({ ...session, stoppedMs: null, endSeq })
	}
}

function startedBy(start: LogRecord, mark: StartMark): OpenSession {
	const { session: id, firstIndex } = mark
	return { id, epoch: start.epoch, startedMs: start.tsMs, startSeq: start.seq, firstIndex }
}

/** Its beginning is gone, damaged or retained; a later mark tells how many events there were before. */
async function startedBefore(
	chain: Chain,
	{ seq, epoch, tsMs }: LogRecord,
	mark: CheckpointMark | StopMark,
): Promise<OpenSession> {
	let startSeq = seq - 1
	let events = indexIn(mark)
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
	return { id: mark.session, epoch, startedMs, startSeq, firstIndex: 0 }
}

/** Records that are absent before the next epoch count as its own. */
async function lastSeqOfEpoch(
	chain: Chain,
	{ epoch, startSeq }: OpenSession,
	toSeq: number,
): Promise<number> {
	const last = await lastUpTo(chain, toSeq)
	if (last === undefined || last.epoch === epoch) return Math.max(startSeq, last?.seq ?? 0)
	const laterSeq = await firstSeqBehindEpoch(chain, epoch, { afterSeq: startSeq, laterSeq: last.seq })
	return Math.max(startSeq, laterSeq - 1)
}
