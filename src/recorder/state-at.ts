/** The state of an application at any moment of its history. */

import { type Chain, checkChain } from '../chain/index.ts'
import { copyOfInitial } from '../consume/initial-state.ts'
import { isThenable, settle } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { checkFunction, checkOptionNames, checkWord, ifGiven } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { isGap, isOwnKind, isPointInTime, type LogRecord } from '../model/record.ts'
import { checkpointMarkOf, checkpointOf } from './mark.ts'
import { CHECKPOINT_KIND, type Checkpoint } from './session.ts'

/** A record; a time: then the last record by `seq` that is there and not later; or a checkpoint: the newest one of that id. */
export type Moment = { readonly seq: number } | { readonly tsMs: number } | { readonly checkpoint: string }

export interface StateOptions {
	/** Which checkpoints hold this state; default all of them. */
	checkpoint?: (checkpoint: Checkpoint) => boolean
	/** Where records are absent that are to be folded: reject with `CHAIN_GAP` (default), or go on without them. */
	gaps?: 'throw' | 'skip'
}

/**
 * The state behind a record, or behind the last record that is not later than a time: that of the nearest checkpoint before, with the
 * records since folded onto it; from `initial` where there is none. Reads the checkpoint and those records.
 *
 * @param fold gets each record but mesh-chain's own, in order. What it returns, or resolves to, is the next state.
 * @param initial the state before the first record of the chain. The fold gets a copy and may change it; what `structuredClone` cannot copy as it
 * is, an instance of a class or a function, it gets itself.
 * @throws {MeshChainError} `INVALID_OPTION`; `CHECKPOINT_NOT_FOUND`; `CHAIN_GAP` where a record is absent.
 *
 * @example
 * ```ts
 * import { openChain } from 'mesh-chain'
 * import { stateAt } from 'mesh-chain/recorder'
 *
 * await using chain = await openChain('node.chain')
 * const orders = await stateAt(chain, { tsMs: Date.now() }, (count, record) => count + (record.kind === 'order' ? 1 : 0), 0)
 * console.log(orders) // diffStates(a, b) says what changed between two of them
 * ```
 */
export async function stateAt<S>(
	chain: Chain,
	at: Moment,
	fold: (state: S, record: LogRecord) => S | Promise<S>,
	initial: S,
	options: StateOptions = {},
): Promise<S> {
	checkOptionNames(options, ['checkpoint', 'gaps'])
	checkChain('a state needs a chain', chain, ['records', 'batches'])
	checkFunction('a fold', fold)
	const gaps = checkWord('gaps', options.gaps ?? 'throw', ['throw', 'skip'])
	ifGiven('checkpoint', options.checkpoint, checkFunction)
	const toSeq = await seqAt(chain, at)
	if (toSeq === 0) return copyOfInitial(initial)
	const checkpoint = await checkpointBefore(chain, toSeq, options.checkpoint)
	let state = checkpoint === undefined ? copyOfInitial(initial) : (checkpoint.state as S)
	const fromSeq = (checkpoint?.seq ?? 0) + 1
	if (fromSeq > toSeq) return state
	for await (const batch of chain.batches({ fromSeq, toSeq, gaps })) {
		for (const record of batch) {
			if (isGap(record) || isOwnKind(record.kind)) continue
			const next = fold(state, record)
			state = isThenable(next) ? ((await settle(next)) as S) : next
		}
	}
	return state
}

/** The seq that a moment stands for; 0 before the first record. */
async function seqAt(chain: Chain, at: Moment): Promise<number> {
	const { seq, tsMs, checkpoint } = (at ?? {}) as { seq?: number; tsMs?: number; checkpoint?: string }
	const isOne = [seq, tsMs, checkpoint].filter((part) => part !== undefined).length === 1
	if (isOne && Number.isSafeInteger(seq) && seq! >= 0) return seq!
	if (isOne && isPointInTime(tsMs)) return seqAtTime(chain, tsMs)
	if (isOne && typeof checkpoint === 'string') return seqOfCheckpoint(chain, checkpoint)
	const text = `a moment is { seq } from 0, { tsMs } or { checkpoint }, not ${show(at)} with seq ${show(seq)}, tsMs ${show(tsMs)} and checkpoint ${show(checkpoint)}`
	throw new MeshChainError('INVALID_OPTION', text)
}

async function seqAtTime(chain: Chain, tsMs: number): Promise<number> {
	for await (const { seq } of chain.records({ until: tsMs, reverse: true, limit: 1, gaps: 'skip' }))
		return seq
	// Of what is absent before the first record nobody knows when it was.
	for await (const first of chain.records({ limit: 1 })) return isGap(first) ? first.seq : 0
	return 0
}

async function seqOfCheckpoint(chain: Chain, id: string): Promise<number> {
	const found = await checkpointBefore(chain, Number.MAX_SAFE_INTEGER, (checkpoint) => checkpoint.id === id)
	if (found !== undefined) return found.seq
	const text = `there is no checkpoint ${show(id)} in ${show(chain.path)}`
	throw new MeshChainError('CHECKPOINT_NOT_FOUND', text, { path: chain.path })
}

async function checkpointBefore(
	chain: Chain,
	toSeq: number,
	isWanted: StateOptions['checkpoint'],
): Promise<Checkpoint | undefined> {
	for await (const record of chain.records({ kind: CHECKPOINT_KIND, toSeq, reverse: true, gaps: 'skip' })) {
		const mark = checkpointMarkOf(record)
		if (mark === undefined || record.origin !== undefined) continue
		const checkpoint = checkpointOf(record, mark)
		if (isWanted?.(checkpoint) ?? true) return checkpoint
	}
	return undefined
}
