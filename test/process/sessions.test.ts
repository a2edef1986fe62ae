/** Runs `mesh-chain sessions` and `state` as processes, and `dump` with sessions and black boxes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { BlackBox } from '../../src/recorder/black-box.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { meshChain } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-sessions-'))
afterAll(() => rmSync(folder, { recursive: true }))

const START_MS = 1_700_000_000_000

/**
 * Two sessions: `first`, stopped, with checkpoints before items 3 and 6 of 8; `second`, whose process died.
 */
async function shop() {
	const path = join(folder, 'node.chain')
	let nowMs = START_MS
	const loop = new MeshLoop(new FileChainAppender(path), { level: 'info', clock: () => (nowMs += 1000) })
	new BlackBox(loop)
	const recorder = new Recorder(loop)
	loop.info('before any session')
	recorder.start('first')
	for (let item = 1; item <= 8; item++) {
		if (item === 3 || item === 6)
			recorder.checkpoint({ items: item - 1 }, { id: `at-${item}`, label: `item ${item}` })
		loop.debug('adding', { item })
		loop.emit('item', { item })
	}
	recorder.stop()
	loop.error('between \u001b[31m', { name: '\u001b[2J' })
	recorder.start('second')
	loop.emit('item', { item: 9 })
	await loop.close()
	const fold = join(folder, 'fold.mjs')
	writeFileSync(
		fold,
		`export const initial = { items: 0 }
		export default (state, { kind }) => (kind === "item" ? { items: state.items + 1 } : state)
		`,
	)
	return { path, fold }
}

let path: string
let fold: string
const isItem = (line: string) => JSON.parse(line).kind === 'item'
const itemsIn = (stdout: string) =>
	stdout
		.split('\n')
		.filter(Boolean)
		.filter(isItem)
		.map((line) => JSON.parse(line).data.item)

beforeAll(async () => {
	;({ path, fold } = await shop())
})

describe('sessions', () => {
	test('lists them with their checkpoints, for people and for programs', async () => {
		const { status, stdout } = await meshChain(['sessions', path])
		expect(status).toBe(0)
		expect(stdout.replaceAll(/\d{4}-\S+Z/g, 'T')).toBe(
			[
				'first  T to T, seq 2 to 13, 8 events',
				'  T at-3 item 3 before event 2 #5',
				'  T at-6 item 6 before event 5 #9',
				'second  T not stopped, seq 16 to 17, 1 event',
				'',
			].join('\n'),
		)
		const rows = JSON.parse((await meshChain(['sessions', path, '-o', 'json'])).stdout)
		expect(rows).toMatchObject([
			{ id: 'first', events: 8, checkpoints: [{ id: 'at-3', eventIndex: 2, seq: 5 }, { id: 'at-6' }] },
			{ id: 'second', stoppedMs: null, checkpoints: [] },
		])
		expect(JSON.stringify(rows)).not.toContain('"state"')
	})

	test('a merged or replayed chain lists no sessions of its origins, and a message explains it', async () => {
		const other = join(temporaryFolder(), 'other.chain')
		await new FileChainAppender(other).close()
		const merged = join(temporaryFolder(), 'merged.chain')
		expect((await meshChain(['merge', path, other, '--to', merged])).status).toBe(0)
		const why =
			'5 session records came from other chains (merge, replay): ' +
			'list those sessions in their original chains\n'
		const listed = await meshChain(['sessions', merged])
		expect(listed).toMatchObject({
			status: 0,
			stdout: '',
			stderr: `mesh-chain: the chain contains no session\nmesh-chain: ${why}`,
		})
		expect((await meshChain(['dump', merged, '--session', 'first'])).stderr).toContain(why)
		expect((await meshChain(['dump', merged, '--between', 'at-3', 'at-6'])).stderr).toContain(why)
		expect((await meshChain(['sessions', path])).stderr).toBe('')
	})

	test('dump combines a session, or the part between two checkpoints, with other filters', async () => {
		expect(itemsIn((await meshChain(['dump', path, '--session', 'first'])).stdout)).toEqual([
			1, 2, 3, 4, 5, 6, 7, 8,
		])
		const between = ['dump', path, '--session', 'first', '--between', 'at-6', 'at-3']
		expect(itemsIn((await meshChain(between)).stdout)).toEqual([3, 4, 5])
		expect(itemsIn((await meshChain([...between, '-n', '1', '-k', 'item', '-r'])).stdout)).toEqual([5])
	})

	test('dump unfolds a black box in place, and its text cannot control the terminal', async () => {
		const { stdout } = await meshChain(['dump', path, '-o', 'pretty', '-k', '$blackbox'])
		expect(stdout).toContain('----- black box #15: 8 lines below info: between \\x1b[31m -----\n')
		expect(stdout.match(/^ {4}\S+ DEBUG adding \{item: \d\}$/gm)).toHaveLength(8)
		expect(stdout).not.toContain('\u001b[31m')
		expect(stdout.endsWith('----- end of black box -----\n')).toBe(true)
	})

	test.each([
		[
			['--session', 'third'],
			'SESSION_NOT_FOUND: there is no session "third": the newest are "first", "second"',
		],
		[
			['--between', 'at-3', 'at-6'],
			'CHECKPOINT_NOT_FOUND: there is no checkpoint "at-3": the session has no checkpoints',
		],
		[
			['--session', 'first', '--between', 'at-3', 'x'],
			'there is no checkpoint "x": the newest checkpoints are "at-3", "at-6"',
		],
		[['--between', 'at-3'], '--between requires two values: A B'],
		[['--session', 'first', '-f'], '--follow cannot be combined with --session'],
	])('dump %j is refused with the reason', async (args, message) => {
		const { status, stdout, stderr } = await meshChain(['dump', path, ...args])
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(message)
	})
})

describe('of a damaged chain', () => {
	/**
	 * One session of 2,000 items with a checkpoint before each thousandth. The bytes around the second one
	 * are damaged.
	 */
	async function damagedShop(): Promise<string> {
		const damaged = join(temporaryFolder(), 'node.chain')
		const loop = new MeshLoop(new FileChainAppender(damaged))
		const recorder = new Recorder(loop)
		recorder.start('only')
		for (let item = 0; item < 3000; item++) {
			if (item % 1000 === 500) recorder.checkpoint({ item }, { id: `at-${item}` })
			loop.emit('item', { item })
			if (item % 50 === 0) loop.flush()
		}
		await loop.close()
		const bytes = readFileSync(damaged)
		const at = bytes.indexOf('at-1500')
		writeFileSync(damaged, bytes.fill(0, at - 20, at + 20))
		return damaged
	}

	test('sessions and dump report missing records, and where a missing checkpoint may be', async () => {
		const damaged = await damagedShop()
		const listed = await meshChain(['sessions', damaged])
		expect([listed.status, listed.stdout.includes('at-500'), listed.stdout.includes('at-1500')]).toEqual([
			3,
			true,
			false,
		])
		expect(listed.stderr).toMatch(
			/: \d+ records are absent \(damaged\); sessions and checkpoints among them are not listed/,
		)
		const gone = await meshChain(['dump', damaged, '--between', 'at-500', 'at-1500'])
		expect([gone.status, gone.stdout]).toEqual([2, ''])
		expect(gone.stderr).toMatch(
			/no checkpoint "at-1500".+may be among the absent records \(seq 1\d+ to 1\d+\)/,
		)
		const around = await meshChain(['dump', damaged, '--between', 'at-500', 'at-2500'])
		expect([around.status, around.stdout.split('"$gap"').length]).toEqual([3, 2])
	})
})

describe('state', () => {
	test.each([
		[[], { items: 9 }],
		[['--at', '4'], { items: 2 }],
		[['--at', '5'], { items: 2 }],
		[['--at', '6'], { items: 3 }],
		[['--at', '0'], { items: 0 }],
		[['--at', new Date(START_MS).toISOString()], { items: 0 }],
		[['--session', 'first', '--at', '@at-6'], { items: 5 }],
	])('%j', async (args, expected) => {
		const { status, stdout, stderr } = await meshChain(['state', path, '--fold', fold, ...args])
		expect([status, stderr, JSON.parse(stdout)]).toEqual([0, '', expected])
	})

	test('at a position after the end names the last record', async () => {
		for (const at of ['99', '2099-01-01', '@at-6']) {
			const args = ['state', path, '--fold', fold, '--session', 'first', '--at', '@at-3', '--diff', at]
			const { status, stderr } = await meshChain(args)
			expect(status).toBe(0)
			if (at.startsWith('@')) expect(stderr).toBe('')
			else
				expect(stderr).toMatch(
					new RegExp(`^mesh-chain: ${at} is after the end of the chain: this is the state at seq 17 \\(`),
				)
		}
	})

	test('of a shape unlike that of the checkpoints is folded from the first record', async () => {
		const other = join(temporaryFolder(), 'other.mjs')
		writeFileSync(other, 'export const initial = []\nexport default (seqs, { seq }) => [...seqs, seq]\n')
		const args = ['state', path, '--fold', other, '--at', '7']
		const { status, stderr } = await meshChain(args)
		expect([status, stderr]).toEqual([
			2,
			expect.stringContaining('FOLD_FAILED: at seq 6 (kind "item"), the fold threw: '),
		])
		expect((await meshChain([...args, '--from-start'])).stdout).toBe('[1,3,4,6,7]\n')
	})

	test.each([
		['() => { throw new Error("boom") }', 'FOLD_FAILED: at seq 1 (kind "log"), the fold threw: boom'],
		['async () => { throw new Error("boom") }', 'FOLD_FAILED: at seq 1 (kind "log"), the fold threw: boom'],
		['() => {}', 'FOLD_FAILED: at seq 1 (kind "log"), the fold returned undefined'],
		['async () => {}', 'FOLD_FAILED: at seq 1 (kind "log"), the fold returned undefined'],
		['(state) => state', 'must export the initial state', ''],
	])(
		'with the fold %s fails with the reason',
		async (source, message, initial = 'export const initial = 0') => {
			const bad = join(temporaryFolder(), 'bad.mjs')
			writeFileSync(bad, `${initial}\nexport default ${source}\n`)
			const { status, stdout, stderr } = await meshChain(['state', path, '--fold', bad, '--at', '1'])
			expect([status, stdout]).toEqual([2, ''])
			expect(stderr).toContain(message)
		},
	)

	test.each([
		[['--session', 'first'], '--session applies only to positions that are checkpoints, such as --at @ID'],
		[['--at', 'at-3'], 'a checkpoint is @ plus its ID, such as @at-3'],
	])('at %j is refused with the reason', async (args, message) => {
		const { status, stdout, stderr } = await meshChain(['state', path, '--fold', fold, ...args])
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(message)
	})

	test('prints what changed between two positions', async () => {
		const args = ['state', path, '--fold', fold, '--at', '4', '--diff', '6']
		expect(await meshChain(args)).toMatchObject({ status: 0, stdout: '~ items: 2 -> 3\n' })
		expect((await meshChain([...args.slice(0, -1), '5'])).stdout).toBe('')
	})

	test('of a chain with absent records is refused, unless --gaps skip is given', async () => {
		const holed = join(temporaryFolder(), 'holed.chain')
		const appender = new FileChainAppender(holed)
		const line = {
			epoch: 1,
			tsMs: 1,
			level: 'info',
			kind: 'item',
			message: '',
			daemonId: null,
			nodeId: null,
		} as const
		for (const seq of [1, 4]) appender.append({ ...line, seq, chainPending: false })
		await appender.close()
		const refused = await meshChain(['state', holed, '--fold', fold])
		expect(refused.status).toBe(2)
		expect(refused.stderr).toContain('CHAIN_GAP')
		expect((await meshChain(['state', holed, '--fold', fold, '--gaps', 'skip'])).stdout).toBe('{"items":2}\n')
	})

	test.each([
		[[], '--fold is missing: name a module'],
		[['--fold', '/nowhere/x.mjs'], 'cannot be loaded'],
		[['--fold', join(import.meta.dirname, '../../package.json')], 'cannot be loaded'],
	])('with %j is refused with the reason', async (args, message) => {
		const { status, stderr } = await meshChain(['state', path, ...args])
		expect(status).toBe(2)
		expect(stderr).toContain(message)
	})
})
