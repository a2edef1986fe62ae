/** Computes the state of an application at any position in its history. */
import { type Chain, checkChain } from '../chain/index.ts'
import { recordFromJson } from '../codec/json-dialect.ts'
import { copyOfInitial } from '../consume/initial-state.ts'
import { isThenable, settle } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { checkFunction, checkOptionNames, checkWord, ifGiven } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { type HistoryPosition, positionFrom } from '../model/history-position.ts'
import type { CheckpointRecord } from '../model/own-events.ts'
import { isGap, isOwnKind, type LogRecord } from '../model/record.ts'
import type { Checkpoint } from './session.ts'
import { CHECKPOINT_KIND, checkpointOf, checkpointRecordOf } from './session-record.ts'

/**
 * A position in history, or the newest checkpoint with a given id. If `session` is set, only checkpoints in
 * sessions with that id are considered.
 *
 * The state at a seq includes the record with that seq. The state at a time includes the last record, in seq
 * order, that is not later than that time, and all records before it. Before the first record, the state is
 * `initial`. After the last record, it is the state at the end of the chain.
 */
export type StatePosition = HistoryPosition | { readonly checkpoint: string; readonly session?: string }

/** Options for {@link stateAt}. */
export interface StateOptions<S> {
	/**
	 * Returns the next state or a promise of the next state. Called in order for each record except
	 * mesh-chain's own records.
	 */
	readonly fold: (state: S, record: LogRecord) => S | Promise<S>
	/**
	 * State before the first record of the chain. The fold receives a copy and may modify it. A value that
	 * `structuredClone` cannot copy faithfully, such as a class instance or a function, is passed without
	 * copying.
	 */
	readonly initial: S
	/**
	 * Returns whether a checkpoint contains the state that this fold computes. Default: every checkpoint does.
	 */
	readonly checkpoint?: ((checkpoint: Checkpoint) => boolean) | undefined
	/**
	 * Behaviour if records are absent: `'throw'` rejects with `CHAIN_GAP`, and `'skip'` folds the remaining
	 * records. Default: `'throw'`.
	 */
	readonly gaps?: 'throw' | 'skip' | undefined
}

/**
 * Returns the state at a position. Starts with the state of the nearest earlier checkpoint, or with
 * `initial` if there is none, and folds all later records up to the position. Reads only the checkpoint and
 * those records. If retention has removed the earlier records, starts with a checkpoint that a `Recorder`
 * repeated at the beginning of a file.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `CHECKPOINT_NOT_FOUND`, or `CHAIN_GAP` if a record is absent and
 * `gaps` is `'throw'`.
 *
 * @example
 * ```ts
 * import { openChain } from 'mesh-chain'
 * import { stateAt } from 'mesh-chain/recorder'
 *
 * await using chain = await openChain('node.chain')
 * const orders = await stateAt(chain, { tsMs: Date.now() }, {
 *   initial: 0,
 *   fold: (count, record) => count + (record.kind === 'order' ? 1 : 0),
 * })
 * console.log(orders) // diffStates(a, b) returns the changes between two states
 * ```
 */
export async function stateAt<S>(chain: Chain, at: StatePosition, options: StateOptions<S>): Promise<S> {
	checkOptionNames(options, ['fold', 'initial', 'checkpoint', 'gaps'])
	checkChain('computing a state requires a chain', chain, ['records', 'batches'])
	const { fold, initial, gaps = 'throw' } = options
	checkFunction('fold', fold)
	checkWord('gaps', gaps, ['throw', 'skip'])
	ifGiven('checkpoint', options.checkpoint, checkFunction)
	const toSeq = await seqAt(chain, at)
	if (toSeq === 0) return copyOfInitial(initial)
	const start = await startFor(chain, toSeq, options.checkpoint)
	let state = start === undefined ? copyOfInitial(initial) : (start.state as S)
	const add = async (records: readonly LogRecord[]) => {
		for (const record of records) {
			if (isGap(record) || isOwnKind(record.kind)) continue
			const next = fold(state, record)
			state = isThenable(next) ? ((await settle(next)) as S) : next
		}
	}
	await add((start?.events ?? []).filter(({ seq }) => seq <= toSeq))
	const fromSeq = (start?.seq ?? 0) + 1
	if (fromSeq > toSeq) return state
	for await (const batch of chain.batches({ fromSeq, toSeq, gaps })) await add(batch)
	return state
}

type Given = { readonly [Name in 'seq' | 'tsMs' | 'checkpoint' | 'session']?: unknown }

/** Returns the seq of the last record at or before a position; 0 before the first record. */
async function seqAt(chain: Chain, at: StatePosition): Promise<number> {
	const { seq, tsMs, checkpoint, session } = (at ?? {}) as Given
	const isNamed = checkpoint !== undefined || session !== undefined
	const position = isNamed ? undefined : positionFrom(at)
	if (position !== undefined) return 'seq' in position ? position.seq : seqAtTime(chain, position.tsMs)
	const isOne = seq === undefined && tsMs === undefined
	const isSession = session === undefined || typeof session === 'string'
	if (isOne && typeof checkpoint === 'string' && isSession) return seqOfCheckpoint(chain, checkpoint, session)
	const fields = Object.entries({ seq, tsMs, checkpoint, session }).filter(([, value]) => value !== undefined)
	const given = fields.map(([name, value]) => `${name} ${show(value)}`).join(', ')
	const wanted = '{ seq: 0 or higher }, { tsMs } or { checkpoint, session? }'
	const text = `a position must be ${wanted}, not ${given === '' ? show(at) : given}`
	throw new MeshChainError('INVALID_OPTION', text)
}

async function seqAtTime(chain: Chain, tsMs: number): Promise<number> {
	for await (const { seq } of chain.records({ until: tsMs, reverse: true, limit: 1, gaps: 'skip' }))
		return seq
	// The times of absent records that precede the first record are unknown.
	for await (const first of chain.records({ limit: 1 })) return isGap(first) ? first.seq : 0
	return 0
}

async function seqOfCheckpoint(chain: Chain, id: string, session: string | undefined): Promise<number> {
	const isWanted = (checkpoint: Checkpoint, of: string) =>
		checkpoint.id === id && (session === undefined || of === session)
	for await (const { record, data } of checkpointsIn(chain, { reverse: true })) {
		if (data.repeats === undefined && isWanted(checkpointOf(record, data), data.session)) return record.seq
	}
	const where = session === undefined ? '' : `session ${show(session)} of `
	const text = `there is no checkpoint ${show(id)} in ${where}${show(chain.path)}`
	throw new MeshChainError('CHECKPOINT_NOT_FOUND', text, { path: chain.path })
}

/** The state from which a fold starts. */
interface FoldStart {
	readonly state: unknown
	/** Events to fold before the records of the chain. */
	readonly events: readonly LogRecord[]
	/** Seq of the last record that the state and the events contain. */
	readonly seq: number
}

/**
 * Returns the nearest checkpoint at or before a seq. If there is none and the chain lacks its first
 * records, returns the first later checkpoint that repeats one from before that seq: the file of the
 * records may have begun before the recorder repeated its checkpoint.
 */
async function startFor(
	chain: Chain,
	toSeq: number,
	isWanted: ((checkpoint: Checkpoint) => boolean) | undefined,
): Promise<FoldStart | undefined> {
	for await (const { record, data } of checkpointsIn(chain, { toSeq, reverse: true })) {
		if (isWanted?.(checkpointOf(record, data)) ?? true) return startAt(record, data)
	}
	if (!(await lacksRecordsBefore(chain, toSeq))) return undefined
	for await (const { record, data } of checkpointsIn(chain, { fromSeq: toSeq + 1 })) {
		const repeatsEarlier = data.repeats !== undefined && data.repeats.seq <= toSeq
		if (repeatsEarlier && (isWanted?.(checkpointOf(record, data)) ?? true)) return startAt(record, data)
	}
	return undefined
}

function startAt({ seq }: LogRecord, { state, repeats }: CheckpointRecord): FoldStart {
	return { state, events: repeats === undefined ? [] : repeats.events.map(recordFromJson), seq }
}

/** Returns whether the chain begins with a gap that ends before a seq. */
async function lacksRecordsBefore(chain: Chain, seq: number): Promise<boolean> {
	for await (const first of chain.records({ limit: 1 })) return isGap(first) && first.seq < seq
	return false
}

/** Yields the checkpoint records of a chain, without those that came from other chains. */
async function* checkpointsIn(
	chain: Chain,
	range: { readonly fromSeq?: number; readonly toSeq?: number; readonly reverse?: boolean },
): AsyncGenerator<{ readonly record: LogRecord; readonly data: CheckpointRecord }> {
	for await (const record of chain.records({ ...range, kind: CHECKPOINT_KIND, gaps: 'skip' })) {
		const data = checkpointRecordOf(record)
		if (data !== undefined && record.origin === undefined) yield { record, data }
	}
}
