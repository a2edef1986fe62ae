/** Arguments that replays, players and targets refuse at once, with the error messages. */
import { describe, expect, expectTypeOf, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { Player } from '../../src/replay/player.ts'
import { replay } from '../../src/replay/replay.ts'
import type { RecordSource } from '../../src/replay/source.ts'
import { AppenderTarget } from '../../src/replay/targets/appender-target.ts'
import { LoopTarget } from '../../src/replay/targets/loop-target.ts'
import { ProcessTarget } from '../../src/replay/targets/process-target.ts'
import { StreamTarget } from '../../src/replay/targets/stream-target.ts'
import { record } from '../support/records.ts'
import { type Refusal, testRefusals, wrong } from '../support/refusals.ts'

let isAsked = false
/** A chain that records any access. */
const chain = wrong({
	chainId: '07'.repeat(16),
	batches: () => asked(),
	records: () => asked(),
})
const noTarget = () => {}

function asked(): AsyncIterable<never> {
	isAsked = true
	return (async function* () {})()
}

const OPTIONS: readonly (readonly [option: string, value: unknown, message: string])[] = [
	['limit', -1, 'limit must be a whole number from 0, not -1'],
	['limit', '5', 'limit must be a whole number from 0, not "5"'],
	['speed', '2x', 'speed must be \'max\' or a number above 0, not "2x"'],
	['retries', 'many', 'retries must be a whole number from 0, not "many"'],
	['timeoutMs', 0, 'timeoutMs must be a whole number from 1, not 0'],
	['signal', new AbortController(), 'signal must be an AbortSignal, not [object AbortController]'],
	['onProgress', true, 'onProgress must be a function, not true'],
	['progressIntervalMs', '1s', 'progressIntervalMs must be a whole number from 1, not "1s"'],
	['sourceId', '', 'sourceId must be a string of 1 to 256 characters, not ""'],
	['clock', Date.now, 'clock must be an object with now() and after(ms, callback), such as systemClock'],
	['clock', { now: Date.now }, 'clock must be an object with now() and after(ms, callback)'],
]
const REPLAY_OPTIONS: typeof OPTIONS = [
	['concurrency', 1.5, 'concurrency must be a whole number from 1, not 1.5'],
	['key', 'node', 'key must be a function, not "node"'],
	['stopOnError', 'yes', 'stopOnError must be true or false, not "yes"'],
	['dryRun', 1, 'dryRun must be true or false, not 1'],
]
const PLAYER_OPTIONS: typeof OPTIONS = [['loop', 1, 'loop must be true or false, not 1']]

describe('a replay', () => {
	testRefusals([
		['without a source', () => replay(wrong(), noTarget), 'INVALID_OPTION', 'a source must be a chain or'],
		[
			'of a path',
			() => replay(wrong('node.chain'), noTarget),
			'INVALID_OPTION',
			/not the path "node\.chain": open it with await openChain\(path\); .+, use readJsonl\(path\)/,
		],
		[
			'of a promise',
			() => replay(wrong(Promise.resolve(chain)), noTarget),
			'INVALID_OPTION',
			'needs an await',
		],
		[
			'without a target',
			() => replay(chain, wrong()),
			'INVALID_OPTION',
			'a target must be a function or an object with write',
		],
		[
			'into a target whose flush is not a function',
			() => replay(chain, wrong({ write() {}, flush: true })),
			'INVALID_OPTION',
			'flush of the target must be a function, not true',
		],
		[
			'with invalid options',
			() => replay(chain, noTarget, wrong(5)),
			'INVALID_OPTION',
			'options must be an object',
		],
		...[...OPTIONS, ...REPLAY_OPTIONS].map(
			([option, value, message]): Refusal => [
				`with ${option}: ${String(value)}`,
				() => replay(chain, noTarget, wrong({ [option]: value })),
				'INVALID_OPTION',
				message,
			],
		),
	])

	test('of an array of records needs only the array', async () => {
		expectTypeOf([record(1)]).toExtend<RecordSource>()
		const seen: number[] = []
		const summary = await replay(
			[1, 2, 3].map((seq) => record(seq)),
			({ seq }) => void seen.push(seq),
			{ fromSeq: 2 },
		)
		expect([seen, summary.replayed, summary.ended]).toEqual([[2, 3], 2, 'end'])
	})
})

describe('a player', () => {
	const player = () => new Player(chain, noTarget)
	const stopped = () => {
		const ended = player()
		ended.stop()
		return ended
	}
	testRefusals([
		[
			'without a chain',
			() => new Player(wrong(), noTarget),
			'INVALID_OPTION',
			'a player needs a chain, not undefined',
		],
		[
			'of a path',
			() => new Player(wrong('a.chain'), noTarget),
			'INVALID_OPTION',
			'open it with await openChain(path)',
		],
		[
			'of a promise',
			() => new Player(wrong(Promise.resolve(chain)), noTarget),
			'INVALID_OPTION',
			'needs an await',
		],
		[
			'without a target',
			() => new Player(chain, wrong()),
			'INVALID_OPTION',
			'a target must be a function or an object with write',
		],
		[
			'with no options',
			() => new Player(chain, noTarget, wrong(null)),
			'INVALID_OPTION',
			'options must be an object, not null',
		],
		...[...OPTIONS, ...PLAYER_OPTIONS].map(
			([option, value, message]): Refusal => [
				`with ${option}: ${String(value)}`,
				() => new Player(chain, noTarget, wrong({ [option]: value })),
				'INVALID_OPTION',
				message,
			],
		),
		[
			'with an invalid speed',
			() => {
				player().speed = wrong('x')
			},
			'INVALID_OPTION',
			'speed must be \'max\' or a number above 0, not "x"',
		],
		[
			'sent nowhere',
			() => player().seek(wrong()),
			'INVALID_OPTION',
			'a position must be { seq: 0 or higher } or { tsMs }',
		],
		[
			'sent to a number',
			() => player().seek(wrong(5)),
			'INVALID_OPTION',
			'a position must be { seq: 0 or higher } or { tsMs }, not 5',
		],
		['playing to a text', () => player().playUntil(wrong({ seq: '5' })), 'INVALID_OPTION', 'not "5"'],
		[
			'stepping by a text',
			() => player().step(wrong('x')),
			'INVALID_OPTION',
			'count must be a whole number from 1, not "x"',
		],
		[
			'stepping after stop',
			() => stopped().step(),
			'INVALID_USAGE',
			'was stopped: use a new player for step()',
		],
		['seeking after stop', () => stopped().seek({ seq: 1 }), 'INVALID_USAGE', 'for seek()'],
		['playing on after stop', () => stopped().playUntil({ seq: 1 }), 'INVALID_USAGE', 'for playUntil()'],
	])

	test('plays nothing after stop, and rejects', async () => {
		expect(await stopped().play()).toMatchObject({ replayed: 0, ended: 'aborted' })
	})
})

describe('a target', () => {
	testRefusals([
		[
			'without a loop',
			() => new LoopTarget(wrong()),
			'INVALID_OPTION',
			'a LoopTarget needs a loop, not undefined; create one with new MeshLoop()',
		],
		[
			'of an appender for a loop',
			() => new LoopTarget(wrong(new BufferingAppender())),
			'INVALID_OPTION',
			'needs a loop',
		],
		[
			'without an appender',
			() => new AppenderTarget(wrong()),
			'INVALID_OPTION',
			'an append(record) method, not undefined',
		],
		[
			'of a path for an appender',
			() => new AppenderTarget(wrong('a.chain')),
			'INVALID_OPTION',
			'not "a.chain"; to write a chain file',
		],
		[
			'of a loop for an appender',
			() => new AppenderTarget(wrong(new MeshLoop())),
			'INVALID_OPTION',
			'an appender must be',
		],
		[
			'without a stream',
			() => new StreamTarget(wrong()),
			'INVALID_OPTION',
			'must be a Writable, such as process.stdout, not undefined',
		],
		[
			'of a path for a stream',
			() => new StreamTarget(wrong('out.jsonl')),
			'INVALID_OPTION',
			'not "out.jsonl"',
		],
		[
			'with an unknown option',
			() => new StreamTarget(process.stdout, wrong({ form: 1 })),
			'INVALID_OPTION',
			'no such option: "form"',
		],
		[
			'with a format that is not a function',
			() => new StreamTarget(process.stdout, wrong({ format: 'json' })),
			'INVALID_OPTION',
			'format must be a function',
		],
		[
			'with a number for a name',
			() => new StreamTarget(process.stdout, wrong({ name: 1 })),
			'INVALID_OPTION',
			'name must be a string',
		],
		['without a command', () => new ProcessTarget(wrong()), 'INVALID_OPTION', 'a shell command'],
		[
			'with an array for a command',
			() => new ProcessTarget(wrong(['jq', '.'])),
			'INVALID_OPTION',
			'a shell command',
		],
		['with an empty command', () => new ProcessTarget(' '), 'INVALID_OPTION', 'a shell command'],
	])
})

test('none of these tests has accessed the chain', () => {
	expect(isAsked).toBe(false)
})
