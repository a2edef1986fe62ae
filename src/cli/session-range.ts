/** Narrows a query to a session, or to the records between two checkpoints of a session. */
import type { Chain, ChainQuery } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import { GAP_KIND, type GapData } from '../model/record.ts'
import type { Checkpoint } from '../recorder/session.ts'
import { ChainSession, listSessions, openSession, sessionNotFound } from '../recorder/sessions.ts'
import type { Invocation, OptionSpec } from './command.ts'

/** The options that select records by session. */
export const SESSION_OPTIONS: readonly OptionSpec[] = [
	{ long: 'session', value: 'ID', help: 'only the records of the newest session with this ID' },
	{
		long: 'between',
		value: 'A B',
		pair: true,
		help: 'only the records between two checkpoints of --session, or of the newest session',
	},
]

/** Returns the query narrowed by `--session` and `--between`. */
export async function withinSession(
	chain: Chain,
	invocation: Invocation,
	query: ChainQuery,
): Promise<ChainQuery> {
	const id = invocation.text('session')
	const [a, b] = invocation.texts('between')
	if (id === undefined && a === undefined) return query
	const session = await sessionOf(chain, id)
	const { startSeq, endSeq } = session.info
	if (a === undefined || b === undefined) return narrowed(query, startSeq, endSeq)
	const first = await checkpointNamed(session, a, chain)
	const second = await checkpointNamed(session, b, chain)
	return narrowed(query, Math.min(first.seq, second.seq), Math.max(first.seq, second.seq))
}

/** Returns the newest session with the given id, or the newest session of the chain if no id is given. */
export async function sessionOf(chain: Chain, id: string | undefined): Promise<ChainSession> {
	if (id !== undefined) return openSession(chain, id)
	const newest = (await listSessions(chain)).at(-1)
	if (newest !== undefined) return new ChainSession(chain, newest)
	throw await sessionNotFound(chain, `${show(chain.path)} contains no session`)
}

/**
 * Returns the checkpoint with this id in a session.
 *
 * @throws {MeshChainError} `CHECKPOINT_NOT_FOUND`
 */
export async function checkpointNamed(session: ChainSession, id: string, chain: Chain): Promise<Checkpoint> {
	const checkpoints = await session.checkpoints()
	const found = checkpoints.find((each) => each.id === id)
	if (found !== undefined) return found
	const known = checkpoints.slice(-5).map((each) => show(each.id))
	const text =
		known.length === 0 ? 'the session has no checkpoints' : `the newest checkpoints are ${known.join(', ')}`
	const { path } = chain
	const absent = await absentIn(session, chain)
	throw new MeshChainError('CHECKPOINT_NOT_FOUND', `there is no checkpoint ${show(id)}: ${text}${absent}`, {
		path,
	})
}

/** Describes the first absent records of the session, because the checkpoint may be among them. */
async function absentIn({ info: { startSeq, endSeq } }: ChainSession, chain: Chain): Promise<string> {
	for await (const { seq, data } of chain.records({ kind: GAP_KIND, fromSeq: startSeq, toSeq: endSeq })) {
		const { fromSeq = seq, toSeq = seq } = (data ?? {}) as Partial<GapData>
		return (
			`; it may be among the absent records (seq ${fromSeq} to ${toSeq}): ` +
			'use --from-seq and --to-seq to inspect the records around them'
		)
	}
	return ''
}

function narrowed(query: ChainQuery, fromSeq: number, toSeq: number): ChainQuery {
	return {
		...query,
		fromSeq: Math.max(fromSeq, query.fromSeq ?? 0),
		toSeq: Math.min(toSeq, query.toSeq ?? toSeq),
	}
}
