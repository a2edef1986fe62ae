/**
 * Rejects values that are not chains before any of their methods is called. The errors state how to open a
 * chain.
 */
import { isThenable } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import type { Chain } from './chain.ts'

/**
 * Checks that a value is a chain.
 *
 * @param wanted the start of the message, such as `a player needs a chain`.
 * @param methods the methods that the caller uses. A substitute for a chain needs only these methods.
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkChain(wanted: string, chain: unknown, methods: readonly (keyof Chain)[]): void {
	const known = chain as Partial<Chain> | null | undefined
	if (typeof known === 'object' && methods.every((method) => typeof known?.[method] === 'function')) return
	throw new MeshChainError('INVALID_OPTION', `${wanted}, not ${whatWasGiven(chain)}`)
}

/** Describes a value that is not a chain, and states how to open a chain. */
export function whatWasGiven(given: unknown): string {
	if (typeof given === 'string') return `the path ${show(given)}: open it with await openChain(path)`
	if (isThenable(given)) return 'a promise for a chain: openChain(path) needs an await'
	return `${show(given)}: await openChain(path) returns one`
}

/**
 * Rejects a chain that has no file of its own, because a cursor is stored beside the chain file.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkFollowable(wanted: string, chain: Chain): void {
	checkChain(wanted, chain, ['tail', 'records'])
	if (chain.chains === undefined) return
	throw new MeshChainError(
		'INVALID_OPTION',
		`${wanted} with a file of its own, not a merged one: merge the chains into one file first, with ` +
			'mesh-chain merge … --to all.chain',
	)
}
