/**
 * Arguments that recorders, black boxes, sessions, states and projections refuse at once, with the error
 * messages.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, expectTypeOf, test } from 'vitest'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { project } from '../../src/consume/projection.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { mergeChains } from '../../src/merge/merge-chains.ts'
import { BlackBox } from '../../src/recorder/black-box.ts'
import { formatChanges } from '../../src/recorder/diff-states.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { ChainSession, listSessions, openSession } from '../../src/recorder/sessions.ts'
import { stateAt } from '../../src/recorder/state-at.ts'
import { type Refusal, testRefusals, wrong } from '../support/refusals.ts'
import { temporaryFolder } from '../support/temporary.ts'

const chain = wrong({
	path: '/nowhere/a.chain',
	chainId: '07'.repeat(16),
	tail() {},
	records: () => (async function* () {})(),
	batches: () => (async function* () {})(),
})
const count = (state: number) => state + 1
const loop = new MeshLoop()

/** The error of every function of a chain for a value that is not a chain. */
function eachNoChain(call: (chain: Chain) => unknown): Refusal[] {
	return [
		[
			'without a chain',
			() => call(wrong()),
			'INVALID_OPTION',
			'a chain, not undefined: await openChain(path) returns one',
		],
		[
			'of a path',
			() => call(wrong('a.chain')),
			'INVALID_OPTION',
			'not the path "a.chain": open it with await openChain(path)',
		],
		[
			'of a promise',
			() => call(wrong(Promise.resolve(chain))),
			'INVALID_OPTION',
			'openChain(path) needs an await',
		],
	]
}

describe('Recorder', () => {
	testRefusals([
		[
			'without a loop',
			() => new Recorder(wrong()),
			'INVALID_OPTION',
			'a recorder needs a loop, not undefined; create one with new MeshLoop()',
		],
		[
			'of something else',
			() => new Recorder(wrong({ on() {} })),
			'INVALID_OPTION',
			'a recorder needs a loop',
		],
		[
			'with eventsMax: "5"',
			() => new Recorder(loop, wrong({ eventsMax: '5' })),
			'INVALID_OPTION',
			'eventsMax must be a whole number from 0',
		],
		[
			'queried without a kind',
			() => new Recorder(loop).sequence(wrong()),
			'INVALID_OPTION',
			'the kind of a sequence must be a non-empty string',
		],
	])
})

describe('BlackBox', () => {
	testRefusals([
		[
			'without a loop',
			() => new BlackBox(wrong()),
			'INVALID_OPTION',
			'a black box needs a loop, not undefined',
		],
		[
			'with when: "error"',
			() => new BlackBox(loop, wrong({ when: 'error' })),
			'INVALID_OPTION',
			'when must be a function, not "error"',
		],
		[
			'with linesMax: "9"',
			() => new BlackBox(loop, wrong({ linesMax: '9' })),
			'INVALID_OPTION',
			'linesMax must be a whole number from 1',
		],
		[
			'with bytesMax: 2^30',
			() => new BlackBox(loop, { bytesMax: 2 ** 30 }),
			'INVALID_OPTION',
			'bytesMax must be at most 983040',
		],
		[
			'with ageMsMax: true',
			() => new BlackBox(loop, wrong({ ageMsMax: true })),
			'INVALID_OPTION',
			'ageMsMax must be a whole number from 1',
		],
		['with level: 5', () => new BlackBox(loop, wrong({ level: 5 })), 'INVALID_LEVEL', 'no such level'],
	])

	test('a refused black box leaves the loop free for another one', () => {
		new BlackBox(loop).close()
	})
})

describe('listSessions', () => testRefusals(eachNoChain((given) => listSessions(given))))

describe('openSession', () => {
	testRefusals([
		...eachNoChain((given) => openSession(given, 'checkout')),
		[
			'without an id',
			() => openSession(chain, wrong()),
			'INVALID_OPTION',
			'the id of a session must be a non-empty string',
		],
	])
})

describe('ChainSession', () => {
	testRefusals([
		...eachNoChain((given) => new ChainSession(given, wrong({ id: 'checkout' }))),
		[
			'without a session',
			() => new ChainSession(chain, wrong()),
			'INVALID_OPTION',
			'info must be a SessionInfo from listSessions(chain)',
		],
	])
})

describe('stateAt', () => {
	testRefusals([
		...eachNoChain((given) => stateAt(given, { seq: 1 }, { fold: count, initial: 0 })),
		[
			'without a position',
			() => stateAt(chain, wrong(), { fold: count, initial: 0 }),
			'INVALID_OPTION',
			'a position must be { seq: 0 or higher }',
		],
		[
			'without a fold',
			() => stateAt(chain, { seq: 1 }, { fold: wrong(), initial: 0 }),
			'INVALID_OPTION',
			'fold must be a function, not undefined',
		],
		[
			'with gaps: "yield"',
			() => stateAt(chain, { seq: 1 }, { fold: count, initial: 0, ...wrong({ gaps: 'yield' }) }),
			'INVALID_OPTION',
			`gaps must be 'throw' or 'skip', not "yield"`,
		],
		[
			'with checkpoint: "a"',
			() => stateAt(chain, { seq: 1 }, { fold: count, initial: 0, ...wrong({ checkpoint: 'a' }) }),
			'INVALID_OPTION',
			'checkpoint must be a function, not "a"',
		],
	])

	test('infers the type of the state from the initial one', () => {
		const orders = () =>
			stateAt(
				chain,
				{ tsMs: 5 },
				{ fold: (sum, record) => sum + (record.kind === 'order' ? 1 : 0), initial: 0 },
			)
		expectTypeOf(orders).returns.resolves.toEqualTypeOf<number>()
	})
})

describe('project', () => {
	const OPTIONS: readonly (readonly [option: string, value: unknown, message: string])[] = [
		['saveIntervalRecords', '5', 'saveIntervalRecords must be a whole number from 1, not "5"'],
		['saveIntervalMs', 2 ** 31, 'saveIntervalMs must be at most 2147483647, not 2147483648'],
		['pollIntervalMs', 2 ** 31, 'pollIntervalMs must be at most 2147483647, not 2147483648'],
		['pollIntervalMs', 0, 'pollIntervalMs must be a whole number from 1, not 0'],
		['path', 7, 'path must be the path of a file, not 7'],
		['fs', {}, 'fs must be a FileSystem, such as nodeFileSystem'],
	]
	testRefusals([
		...eachNoChain((given) => project(given, 'sum', { fold: count, initial: 0 })),
		[
			'without a name',
			() => project(chain, wrong(), { fold: count, initial: 0 }),
			'INVALID_OPTION',
			'the name of a projection must be 1 to 64 letters',
		],
		[
			'without a fold',
			() => project(chain, 'sum', { fold: wrong(), initial: 0 }),
			'INVALID_OPTION',
			'fold must be a function, not undefined',
		],
		...OPTIONS.map(
			([option, value, message]): Refusal => [
				`with ${option}: ${String(value)}`,
				() => project(chain, 'sum', { fold: count, initial: 0, ...wrong({ [option]: value }) }),
				'INVALID_OPTION',
				message,
			],
		),
	])

	test('a merged chain is refused before a file is created', async () => {
		const path = join(temporaryFolder(), 'a.chain')
		await new FileChainAppender(path).close()
		await using merged = mergeChains([await openChain(path)])
		expect(() => project(merged, 'sum', { fold: count, initial: 0 })).toThrow(
			/a file of its own.*mesh-chain merge … --to/,
		)
		expect(existsSync(`${path}.sum.projection.lock`)).toBe(false)
	})

	test('refuses to wait for an invalid seq', async () => {
		const path = join(temporaryFolder(), 'a.chain')
		await new FileChainAppender(path).close()
		await using live = await openChain(path)
		await using sum = project(live, 'sum', { fold: count, initial: 0 })
		const message = 'seq must be a whole number from 0, not "x"'
		await expect(sum.reached(wrong('x'))).rejects.toMatchObject({ code: 'INVALID_OPTION', message })
	})
})

describe('formatChanges', () => {
	testRefusals([
		[
			'of nothing',
			() => formatChanges(wrong()),
			'INVALID_OPTION',
			'changes must be an array from diffStates(a, b), not undefined',
		],
	])
})
