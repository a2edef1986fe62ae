/** Reads several chains with one command: named one by one, in folders, and by patterns. */
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chainOfSealedFile, chainsIn } from '../../src/chain/files/chains-in.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { matchingPaths } from '../../src/platform/matching-paths.ts'
import { randomFrom, SEED } from '../support/counts.ts'
import { meshChain, ROOT, start } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const START_MS = 1_700_000_000_000
const PROGRAM = join(ROOT, 'dist', 'cli', 'main.js')

/** Writes a chain whose records have the given times, in seconds. */
async function write(path: string, seconds: readonly number[], rotateBytes?: number): Promise<void> {
	const appender = new FileChainAppender(path, { rotateBytes })
	const loop = new MeshLoop(appender, { nodeId: path.replace(/^.*\//, '') })
	for (const second of seconds) {
		loop.info(`second ${second}`, { text: 'x'.repeat(1500) }, { tsMs: START_MS + 1000 * second })
		if (rotateBytes !== undefined) await loop.sync()
	}
	await loop.close()
}

interface Printed {
	readonly message: string
	readonly origin?: { readonly chainId: string }
}

async function dumped(...args: readonly string[]) {
	const { status, stdout, stderr } = await meshChain(['dump', ...args, '-o', 'ndjson'])
	const records = stdout
		.split('\n')
		.slice(0, -1)
		.map((line) => JSON.parse(line) as Printed)
	return { status, stderr, records, messages: records.map(({ message }) => message) }
}

const seconds = (...list: readonly number[]) => list.map((second) => `second ${second}`)

/** A folder with two chains of two processes of a service, and files that are not chains. */
async function fleet(): Promise<string> {
	const folder = temporaryFolder()
	await write(join(folder, 'node-17.chain'), [1, 3, 5])
	await write(join(folder, 'node-18.chain'), [2, 4, 6])
	writeFileSync(join(folder, 'notes.txt'), 'no chain\n')
	mkdirSync(join(folder, 'sub'))
	return folder
}

describe('every way to name several chains', () => {
	const ways: readonly (readonly [string, (folder: string) => string[]])[] = [
		['one by one', (folder) => [join(folder, 'node-17.chain'), join(folder, 'node-18.chain')]],
		['as a folder', (folder) => [folder]],
		['as a folder that ends with a slash', (folder) => [`${folder}/`]],
		['by a pattern', (folder) => [join(folder, 'node-*.chain')]],
		['by a pattern that also matches the files beside a chain', (folder) => [join(folder, 'node*')]],
		['by a pattern for one character', (folder) => [join(folder, 'node-1?.chain')]],
		['as the chains of the processes of a service', (folder) => [join(folder, 'node-{pid}.chain')]],
		['by a pattern for a folder', (folder) => [`${folder.slice(0, -1)}?/node-*.chain`]],
		['twice', (folder) => [folder, join(folder, 'node-18.chain')]],
	]
	test.each(ways)('%s', async (_way, args) => {
		const { status, stderr, messages, records } = await dumped(...args(await fleet()))
		expect(messages).toEqual(seconds(1, 2, 3, 4, 5, 6))
		expect(new Set(records.map(({ origin }) => origin?.chainId)).size).toBe(2)
		expect([status, stderr]).toEqual([0, ''])
	})
})

test('tail and export read several chains, too', async () => {
	const folder = await fleet()
	const tail = await meshChain(['tail', folder, '-n', '2', '-o', 'ndjson'])
	expect(
		tail.stdout
			.split('\n')
			.slice(0, -1)
			.map((line) => JSON.parse(line).message),
	).toEqual(seconds(5, 6))
	const target = join(folder, 'all.jsonl')
	expect((await meshChain(['export', folder, '--to', target])).status).toBe(0)
	const lines = readFileSync(target, 'utf8').split('\n').slice(0, -1)
	expect(lines.map((line) => JSON.parse(line).message).filter(Boolean)).toEqual(seconds(1, 2, 3, 4, 5, 6))
})

test('info shows each of several chains', async () => {
	const folder = await fleet()
	const pretty = await meshChain(['info', folder])
	expect(pretty.stdout.match(/^chain {6}/gm)).toHaveLength(2)
	const json = await meshChain(['info', folder, '-o', 'json'])
	const found = json.stdout
		.split('\n')
		.slice(0, -1)
		.map((line) => JSON.parse(line))
	expect(found.map(({ path, records }) => [path, records])).toEqual(
		['node-17.chain', 'node-18.chain'].map((name) => [join(folder, name), 3]),
	)
	const broken = join(folder, 'broken.chain')
	writeFileSync(broken, 'no chain\n')
	const partial = await meshChain(['info', join(folder, 'node-17.chain'), broken])
	expect(partial.stderr).toContain(`${broken} was skipped: NOT_A_CHAIN: `)
	expect([pretty.status, json.status, partial.status]).toEqual([0, 0, 3])
})

test('the sealed files of a chain are read once, however they are named', async () => {
	const folder = temporaryFolder()
	const path = join(folder, 'node.chain')
	await write(path, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 4096)
	await write(join(folder, 'other.chain'), [11])
	const sealed = matchingPaths(join(folder, 'node-*.chain'))
	expect(sealed.length).toBeGreaterThan(0)
	expect(sealed.map((name) => chainOfSealedFile(name))).toEqual(sealed.map(() => path))
	expect(chainsIn(folder)).toEqual([path, join(folder, 'other.chain')])
	for (const args of [[folder], [join(folder, '*.chain')], [...sealed, path, join(folder, 'other.chain')]]) {
		const { status, stderr, messages } = await dumped(...args)
		expect(messages).toEqual(seconds(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11))
		expect([status, stderr]).toEqual([0, ''])
	}
})

test('a chain that cannot be opened is reported, and the others are read', async () => {
	const folder = await fleet()
	const broken = join(folder, 'broken.chain')
	writeFileSync(broken, 'no chain\n')
	const named = await dumped(join(folder, 'node-17.chain'), broken, join(folder, 'absent.chain'))
	expect(named.messages).toEqual(seconds(1, 3, 5))
	expect(named.stderr).toContain(`${broken} was skipped: NOT_A_CHAIN: `)
	expect(named.stderr).toContain('absent.chain was skipped: CHAIN_NOT_FOUND: ')
	expect(named.status).toBe(3)
	const all = await dumped(broken, join(folder, 'absent.chain'))
	expect([all.status, all.messages]).toEqual([2, []])
	expect(all.stderr).toContain('NOT_A_CHAIN')
})

test('a copy of a chain is reported and not read twice', async () => {
	const folder = await fleet()
	copyFileSync(join(folder, 'node-17.chain'), join(folder, 'z-copy.chain'))
	const { status, stderr, messages } = await dumped(folder)
	expect(messages).toEqual(seconds(1, 2, 3, 4, 5, 6))
	expect(stderr).toContain('z-copy.chain was skipped: it is the same chain as ')
	expect(status).toBe(0)
})

test('a new chain is not merged from an incomplete set', async () => {
	const folder = await fleet()
	writeFileSync(join(folder, 'broken.chain'), 'no chain\n')
	const target = join(folder, 'merged.chain')
	const { status, stderr } = await meshChain(['merge', join(folder, '*.chain'), '--to', target])
	expect(stderr).toContain('NOT_A_CHAIN')
	expect(status).toBe(2)
	expect(chainsIn(folder)).not.toContain(target)
})

test.each([
	['sub', 'there is no chain in the folder '],
	['x*.chain', 'no chain matches '],
	['*/x.chain', 'no chain matches '],
])('%s names no chain', async (name, text) => {
	const { status, stderr } = await dumped(join(await fleet(), name))
	expect(stderr).toContain(`CHAIN_NOT_FOUND: ${text}`)
	expect(status).toBe(2)
})

test('several chains are followed together', async () => {
	const folder = await fleet()
	const follower = start(process.execPath, [PROGRAM, 'dump', folder, '-f', '-n', '8', '-o', 'ndjson'])
	const ended = once(follower, 'close')
	let text = ''
	follower.stdout!.on('data', (piece: Buffer) => {
		text += piece
	})
	while (text.split('\n').length <= 6) await once(follower.stdout!, 'data')
	await write(join(folder, 'node-18.chain'), [8])
	await write(join(folder, 'node-17.chain'), [7])
	await ended
	const messages = text
		.split('\n')
		.slice(0, -1)
		.map((line) => JSON.parse(line).message as string)
	expect(messages.slice(0, 6)).toEqual(seconds(1, 2, 3, 4, 5, 6))
	expect(messages.slice(6).sort()).toEqual(seconds(7, 8))
})

test(`a pattern matches what a plain comparison of characters matches (seed ${SEED})`, () => {
	const random = randomFrom(SEED)
	const folder = temporaryFolder()
	const word = (letters: string) =>
		Array.from(
			{ length: 1 + Math.floor(random() * 6) },
			() => letters[Math.floor(random() * letters.length)],
		).join('')
	const names = [...new Set(Array.from({ length: 60 }, () => word('ab.[+')))].filter(
		(name) => !/^\.+$/.test(name),
	)
	for (const name of names) writeFileSync(join(folder, name), '')
	for (let round = 0; round < 200; round++) {
		const pattern = word('ab.[+*?')
		if (!/[*?]/.test(pattern)) continue
		const expected = names.filter((name) => isMatch(pattern, name) && (pattern[0] === '.' || name[0] !== '.'))
		expect(matchingPaths(join(folder, pattern)), pattern).toEqual(
			expected.sort().map((name) => join(folder, name)),
		)
	}
})

function isMatch(pattern: string, name: string): boolean {
	if (pattern === '') return name === ''
	if (pattern[0] === '*') {
		return isMatch(pattern.slice(1), name) || (name !== '' && isMatch(pattern, name.slice(1)))
	}
	return (
		name !== '' && (pattern[0] === '?' || pattern[0] === name[0]) && isMatch(pattern.slice(1), name.slice(1))
	)
}
