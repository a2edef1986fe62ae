/** Arguments that a merge refuses at once. For duplicates and filters, see merge-chains.test.ts. */
import { mergeChains } from '../../src/merge/merge-chains.ts'
import { testRefusals, wrong } from '../support/refusals.ts'

testRefusals([
	[
		'no chains',
		() => mergeChains(wrong()),
		'INVALID_OPTION',
		'chains must be an array of at least one chain, not undefined',
	],
	[
		'paths',
		() => mergeChains(wrong(['a.chain'])),
		'INVALID_OPTION',
		'not the path "a.chain": open it with await openChain(path)',
	],
	[
		'promises',
		() => mergeChains(wrong([Promise.resolve()])),
		'INVALID_OPTION',
		'openChain(path) needs an await',
	],
])
