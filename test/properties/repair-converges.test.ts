/**
 * One repair is enough, whatever is wrong with a chain: a second repair finds nothing to do, changes nothing
 * and keeps no further copy. A repair names everything that a person must judge, and leaves those files
 * unchanged.
 */
import { expect, test } from 'vitest'
import type { RepairReport } from '../../src/chain/chain.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { CLOSED, Forge, forgeChain, mutate, type NamedFile, SPAN } from '../oracle/format-oracle.mjs'
import { compare, filesIn } from '../support/compare-with-oracle.ts'
import { randomFrom, SEED, tellCounts } from '../support/counts.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'

const PATH = '/chains/node.chain'
const CHAINS = 700
const REFUSED = ['CHAIN_NOT_FOUND', 'CHAIN_EMPTY', 'NOT_A_CHAIN', 'HEADER_DAMAGED', 'NEWER_VERSION']

function diskWith(files: readonly NamedFile[]): MemoryFileSystem {
	const fs = new MemoryFileSystem()
	for (const { name, bytes } of files) fs.put(`/chains/${name}`, bytes)
	return fs
}

const shownFiles = (fs: MemoryFileSystem) =>
	new Map(filesIn(fs).map(({ name, bytes }) => [name, Buffer.from(bytes).toString('base64')]))

const shownActions = ({ actions }: RepairReport) =>
	actions.map(({ action, path, lostRecords }) => `${action} ${path}, ${lostRecords} lost`)

async function expectConverges(what: string, files: readonly NamedFile[]): Promise<RepairReport> {
	const fs = diskWith(files)
	const before = shownFiles(fs)
	const planned = await repairChain(PATH, { fs, dryRun: true })
	expect([what, shownFiles(fs)]).toEqual([what, before])
	const first = await repairChain(PATH, { fs })
	fs.paths.filter((path) => path.endsWith('.lock')).map((path) => fs.unlinkSync(path))
	const after = shownFiles(fs)
	expect([what, shownActions(planned)]).toEqual([what, shownActions(first)])
	if (first.actions.length === 0) expect([what, after]).toEqual([what, before])
	const second = await repairChain(PATH, { fs })
	expect([what, second.actions, shownFiles(fs)]).toEqual([what, [], after])
	for (const { answer, left } of [first, second]) {
		if (answer === 'not ok') expect([what, left]).not.toEqual([what, []])
	}
	await compare(`${what}, repaired`, filesIn(fs))
	return first
}

test(`one repair is enough for ${CHAINS} forged and changed chains (seed ${SEED})`, async () => {
	const counts: Record<string, number> = { chains: CHAINS, 'nothing to do': 0, repaired: 0, refused: 0 }
	for (let index = 0; index < CHAINS; index++) {
		const random = randomFrom(SEED + index)
		let files: readonly NamedFile[] = forgeChain(random).files()
		let what = `seed ${SEED + index}`
		for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes--) {
			const changed = mutate(files, random)
			files = changed.files
			what += `, ${changed.what}`
		}
		try {
			const { actions } = await expectConverges(what, files)
			counts[actions.length === 0 ? 'nothing to do' : 'repaired']! += 1
		} catch (error) {
			if (!(error instanceof MeshChainError) || !REFUSED.includes(error.code)) throw error
			counts['refused']! += 1
		}
	}
	expect(counts['repaired']).toBeGreaterThan(CHAINS / 4)
	tellCounts(9, `repairs of forged chains, each done twice (seed ${SEED})`, counts)
}, 600_000)

test('one repair is enough for missing seqs before any entry, with correct links', async () => {
	const entry = (forge: Forge, index: number) =>
		index % 3 === 2 ? forge.anchor(SPAN) : forge.frame([{ tsMs: 1, level: 2, message: `record ${index}` }])
	for (let at = 1; at < 18; at++) {
		const forge = new Forge()
		for (let index = 0; index < 18; index++) {
			if (index === at) forge.file.nextSeq += 6
			if (index === 6 || index === 12) forge.seal()
			else entry(forge, index)
		}
		forge.anchor(CLOSED)
		const { actions, ok, recordsLost } = await expectConverges(`missing before entry ${at}`, forge.files())
		expect([at, actions.length, actions[0]?.lostRecords, ok, recordsLost]).toEqual([at, 1, 6, true, 6])
	}
})

test('a file that does not fit the previous one is evidence in both', async () => {
	const forge = new Forge()
	for (let seq = 1; seq <= 9; seq++) {
		forge.frame([{ tsMs: seq, level: 2, message: `record ${seq}` }])
		forge.anchor(SPAN)
		if (seq % 3 === 0 && seq < 9) {
			forge.seal(seq === 6 ? { header: { previousLink: Buffer.alloc(32, 5) } } : {})
		}
	}
	forge.anchor(CLOSED)
	const files = forge.files().map(({ name, bytes }) => ({ name, bytes: Buffer.from(bytes) }))
	for (const { bytes } of files) bytes[bytes.indexOf('record')]! ^= 1
	const { actions, left, answer } = await expectConverges('a foreign link', files)
	expect(actions.map(({ path }) => path)).toEqual(['/chains/node-1.chain'])
	expect(left.map(({ kind, path }) => `${kind} ${path}`).toSorted()).toEqual([
		'ambiguous /chains/node.chain',
		'brokenLink /chains/node.chain',
		'damaged /chains/node-4.chain',
	])
	expect(answer).toBe('not ok')
})
