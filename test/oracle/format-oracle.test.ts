/**
 * RELIABILITY, row 14: the oracle in this folder was written from the documents alone, without src. It and
 * mesh-chain must find the same records, gaps and answers in all files: golden files, files of real writers
 * (closed, killed or after a power loss), and files that were changed or forged. A difference is a mistake in
 * one of them or in FORMAT.md.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { compare } from '../support/compare-with-oracle.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { forgeChain as forgeRows } from '../support/forge.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { RandomAttacker } from '../support/random-attacker.ts'
import {
	CLOSED,
	Forge,
	forgeChain,
	mutate,
	type NamedFile,
	REPAIRED,
	readChain,
	SPAN,
	sha256,
	verify,
} from './format-oracle.mjs'
import { crashes, goldenChains, madeChains, type NamedChain, writtenChains } from './written-chains.ts'

beforeAll(() => void vi.spyOn(process, 'emitWarning').mockImplementation(() => {}))

const headsOf = (files: readonly NamedFile[]) => readChain(files).heads.map(({ text }) => text)

/** Counts each answer over all heads. */
class Answers {
	readonly counts: Record<string, number> = {}

	add(answers: readonly string[]): void {
		for (const each of answers) {
			const name = each.replace(/, \d+$/, '')
			this.counts[name] = (this.counts[name] ?? 0) + 1
		}
	}
}

test('the oracle imports nothing from mesh-chain', () => {
	const source = readFileSync(join(import.meta.dirname, 'format-oracle.mjs'), 'utf8')
	const imports = [...source.matchAll(/\bfrom\s+'([^']+)'|\b(?:import|require)\s*\(\s*([^)]*)\)/g)]
	const names = imports.map(([, name, computed]) => name ?? computed)
	expect(names.length).toBeGreaterThan(0)
	expect(names.filter((name) => !name?.startsWith('node:'))).toEqual([])
})

test('agree on the golden files with every head, before and after the next boot', async () => {
	const chains = goldenChains()
	expect(chains.length).toBeGreaterThan(10)
	for (const { name, files } of chains) {
		const heads = headsOf(files)
		for (const boot of [1, 2]) await compare(`${name}, boot ${boot}`, files, heads, boot)
	}
})

test(`agree on chains of real writers with every head, and on forged files (seed ${SEED})`, async () => {
	const random = randomFrom(SEED)
	for (const { name, files } of await writtenChains(random)) {
		const [answer] = await compare(`${name}, seed ${SEED}`, files, headsOf(files))
		expect([name, answer?.startsWith('ok')]).toEqual([name, true])
	}
	for (const { name, files } of await madeChains(random)) {
		await compare(`${name}, seed ${SEED}`, files, headsOf(files))
	}
})

test(`agree after kills and power losses, before and after the next writer (seed ${SEED})`, async () => {
	const counts = new Answers()
	const found = await crashes(randomFrom(SEED), 30)
	for (const { name, files, boot } of found) {
		const heads = headsOf(files).slice(-2)
		counts.add(await compare(`${name}, seed ${SEED}`, files, heads, boot))
	}
	tellCounts(14, `crashed chains, compared with the oracle (seed ${SEED})`, {
		chains: found.length,
		...counts.counts,
	})
})

describe('files on which mesh-chain and the oracle once differed', () => {
	const line = (message: string) => ({ tsMs: 1_700_000_000_000, level: 2, message })
	const forged = () => {
		const forge = new Forge()
		forge.frame([line('first'), line('second')])
		forge.frame([line('third')])
		return forge
	}

	test('the flags of a frame claim that it has no level: its record is not silently omitted', async () => {
		const forge = forged()
		forge.frame([line('fourth')], { flags: 64 })
		forge.anchor(CLOSED)
		expect(await compare('no level', forge.files())).toEqual(['not ok, 0'])
	})

	test('a file begins with a seq that is also in the previous file', async () => {
		const forge = forged()
		forge.seal({ header: { firstSeq: 2 }, anchor: { nextSeq: 2 } })
		forge.file.nextSeq = 2
		forge.frame([line('second again')])
		forge.anchor(CLOSED)
		expect(await compare('a seq again', forge.files())).toEqual(['not ok, 0'])
	})

	test('a file counts only up to the middle of a frame', async () => {
		const forge = forged()
		const { link, linkedTo } = forge.file
		const previousEnd = forge.frame([line('fourth')]) + 20
		const previousLink = sha256(link, forge.file.bytes().subarray(linkedTo, previousEnd))
		forge.seal({ unsealed: true, header: { previousEnd, previousLink } })
		forge.anchor(CLOSED)
		expect(await compare('half a frame', forge.files())).toEqual(['not ok, 0'])
	})

	test('apparently torn bytes are at a place where the watermark vouches for an anchor', async () => {
		const forge = forged()
		forge.watermark({ offset: forge.file.length + 263 })
		forge.file.raw(Buffer.from('97ce000fffffce0000000000000000dd00ffffff', 'hex'))
		forge.file.raw(Buffer.alloc(300))
		expect(await compare('a torn anchor', forge.files())).toEqual(['not ok, 0'])
	})

	test('a gap covers seqs that are present: those are not lost', async () => {
		const forge = forged()
		const data = { fromSeq: 2, toSeq: 9, count: 8, cause: 'evicted' }
		forge.frame([{ ...line('absent'), level: 3, kind: '$gap', data }], { baseSeq: 9 })
		forge.anchor(CLOSED)
		expect(await compare('seqs again in a gap', forge.files())).toEqual(['ok, records lost, 6'])
	})

	test('a power loss explains what is missing at its place, and nothing after it', async () => {
		const forge = forged()
		forge.watermark({ offset: forge.file.length, bootId: Buffer.alloc(16, 9) })
		forge.file.raw(Buffer.alloc(30))
		forge.frame([line('fourth')])
		forge.frame([line('tenth')], { baseSeq: 10 })
		const files = forge.files()
		expect(await compare('two places', files, [], 2)).toEqual(['not ok, 0'])
		expect(readChain(files, { bootId: '1' }).records.filter(({ isMade }) => isMade)).toMatchObject([
			{ data: { fromSeq: 5, toSeq: 9, cause: 'damaged' } },
		])
	})

	test('a power loss explains nothing if the newest anchor is from this boot', async () => {
		const forge = forged()
		forge.anchor(SPAN, { bootId: Buffer.from('00000000000040008000000000000002', 'hex') })
		forge.watermark({ offset: forge.file.length, bootId: Buffer.alloc(16, 9) })
		forge.file.raw(Buffer.alloc(30))
		forge.frame([line('fifth')], { baseSeq: 5 })
		const files = forge.files()
		expect(await compare('an older watermark', files, [], 2)).toEqual(['not ok, 0'])
		expect(await compare('an older watermark', files, [], 3)).toEqual(['ok, records lost, 1'])
	})

	test('a power loss explains nothing in a file that is not the last', async () => {
		const forge = forged()
		forge.watermark({ offset: forge.file.length })
		forge.file.raw(Buffer.alloc(30))
		forge.frame([line('fifth')], { baseSeq: 5 })
		forge.seal()
		const files = forge.files()
		expect(await compare('a sealed file', files, [], 2)).toEqual(['not ok, 0'])
		const made = readChain(files, { bootId: '2' }).records.filter(({ isMade }) => isMade)
		expect(made).toMatchObject([{ data: { fromSeq: 4, toSeq: 4, cause: 'damaged' } }])
	})

	test('the first file begins with a seq above 1', async () => {
		const forge = new Forge({ firstSeq: 5 })
		forge.file.nextSeq = 5
		forge.frame([line('fifth')])
		forge.anchor(CLOSED, { keptFrom: 1 })
		expect(await compare('from seq 5', forge.files())).toEqual(['not ok, 0'])
	})

	test('without header and first anchor, a file begins with the first seq of its first frame', async () => {
		const forge = forged()
		forge.seal()
		const first = forge.file.length - 263
		forge.gap(8, 'evicted')
		forge.anchor(CLOSED)
		const files = forge.files()
		const bytes = Buffer.from(files[1]!.bytes)
		files[1] = { name: 'node.chain', bytes: bytes.fill(0, 40, 60).fill(0, first, first + 263) }
		await compare('a gap that opens a file', files)
		expect(readChain(files).records.filter(({ kind }) => kind === '$gap')).toMatchObject([
			{ data: { fromSeq: 4, toSeq: 8, cause: 'evicted' } },
		])
	})

	test('of superseded frames in two files, only those of the first file are there again', async () => {
		const forge = forged()
		forge.seal({ superseded: (file: Forge['file']) => file.frame([line('fourth')]) })
		forge.seal({ superseded: (file: Forge['file']) => file.frame([line('another')], { baseSeq: 9 }) })
		forge.frame([line('fourth')], { baseSeq: 4 })
		forge.anchor(CLOSED)
		expect(await compare('two files', forge.files())).toEqual(['ok, records lost, 1'])
	})

	/** Returns the first of two files as a repair may have written it: other frames under the same header. */
	const rewritten = (fill: (forge: Forge) => void) => {
		const forge = new Forge()
		fill(forge)
		const whole = forge.files()[0]!.bytes
		forge.anchor(REPAIRED)
		return { whole, repaired: forge.files()[0]!.bytes }
	}
	const sealedAs = (repaired: Uint8Array, originals: (original: Uint8Array) => readonly Uint8Array[]) => {
		const forge = forged()
		forge.seal()
		const [sealed, live] = forge.files()
		const kept = originals(sealed!.bytes).map((bytes, index) => {
			return { name: `node-1.chain.before-repair-${index}`, bytes }
		})
		return { files: [{ ...sealed!, bytes: repaired }, live!, ...kept], heads: headsOf([sealed!, live!]) }
	}

	test('the next file links to one original, a repaired file takes over another: no head holds', async () => {
		const { whole, repaired } = rewritten((forge) => {
			forge.frame([line('first'), line('second')])
			forge.gap(3, 'evicted')
		})
		const { files, heads } = sealedAs(repaired, (original) => [original, whole])
		const [answer, ...ofHeads] = await compare('two originals', files, heads.slice(-1))
		expect([answer, ...ofHeads]).toEqual(['ok, records lost, 1', 'not ok, 1'])
	})

	test('a file takes over two originals, and the next file links to the second: heads hold', async () => {
		const { repaired } = rewritten((forge) => {
			forge.frame([line('first'), line('second')])
			forge.frame([line('third')])
		})
		const { files, heads } = sealedAs(repaired, (original) => [original.subarray(0, -100), original])
		expect(await compare('a shorter original', files, heads.slice(-1))).toEqual(['ok, 0', 'ok, 0'])
	})

	test('an anchor with a wrong offset of the previous one breaks the links, even after damage', async () => {
		const forge = forged()
		forge.watermark()
		forge.file.raw(Buffer.alloc(30))
		forge.anchor(SPAN, { previous: 5 })
		const files = forge.files()
		const [answer, ofHead] = await compare('a wrong offset', files, headsOf(files).slice(-1), 2)
		expect([answer, ofHead]).toEqual(['ok, records lost, 0', 'not ok, 0'])
	})

	test('one sealed file is verified by its name against a head of its chain', async () => {
		const forge = forged()
		forge.seal()
		forge.frame([line('fourth')])
		forge.seal()
		forge.anchor(CLOSED)
		const files = forge.files()
		const heads = headsOf(files)
		const fs = new MemoryFileSystem()
		for (const { name, bytes } of files) fs.put(`/c/${name}`, bytes)
		for (const [name, before, inIt] of [
			['node-1', 0, 'ok'],
			['node-4', 2, 'cannot be checked'],
		] as const) {
			const expected = heads.map((_, at) => (at === before || at === before + 1 ? inIt : 'not ok'))
			const ours = heads.map((head) => verifyChain(`/c/${name}.chain`, { fs, head }))
			expect((await Promise.all(ours)).map(({ answer }) => answer)).toEqual(expected)
			expect(heads.map((head) => verify(files, { name, head }).answer)).toEqual(expected)
		}
	})

	test('a key counts as a value of its data, even if it occurred before', async () => {
		// Fewer maps than the bound, but more together with their keys.
		const maps = Buffer.alloc(140_000 * 4)
		for (let at = 0; at < maps.length; at += 4) maps.set([0x81, 0xa1, 0x6b, 0xc0], at)
		const array = Buffer.from('dd00000000', 'hex')
		array.writeUInt32BE(140_000, 1)
		const row = Buffer.concat([Buffer.from('980002c0c0c0c0c0', 'hex'), array, maps])
		const files = [{ name: 'node.chain', bytes: forgeRows(row) }]
		for (let reads = 0; reads < 2; reads++) expect(await compare('keys', files)).toEqual(['not ok, 0'])
	})
})

const FILES = sizeOf('ORACLE_FILES')

test(`${FILES} changed and forged files (seed ${SEED})`, async () => {
	const counts = new Answers()
	const random = randomFrom(SEED)
	const bases = [...goldenChains(), ...(await writtenChains(random)), ...(await madeChains(random))]
	let index = 0
	for (; index < FILES; index++) {
		const { name, files, heads, boot } = await changedChain(bases, SEED + index)
		counts.add(await compare(`${name} (MESH_CHAIN_SEED=${SEED}, file ${index})`, files, heads, boot))
	}
	for (const answer of ['ok', 'ok, records lost', 'cannot be checked', 'not ok', 'refused']) {
		if (FILES >= 500) expect([answer, counts.counts[answer] ?? 0]).not.toEqual([answer, 0])
	}
	tellCounts(14, `changed and forged files, compared with the oracle (seed ${SEED})`, {
		files: index,
		...counts.counts,
		'told apart': 0,
	})
}, 7_200_000)

interface ChangedChain extends NamedChain {
	/** Heads stored elsewhere before any change. */
	readonly heads: readonly string[]
	readonly boot: number
}

/** Returns a chain after one or several changes, as by an attacker or a disk. */
async function changedChain(bases: readonly NamedChain[], seed: number): Promise<ChangedChain> {
	const random = randomFrom(seed)
	const below = (bound: number) => Math.floor(random() * bound)
	const base =
		below(2) === 0 ? bases[below(bases.length)]! : { name: 'forged', files: forgeChain(random).files() }
	const all = headsOf(base.files)
	const heads = all.length === 0 ? [] : [all[below(all.length)]!, all.at(-1)!]
	const said = [base.name]
	let { files } = base
	for (let steps = below(4); steps > 0; steps--) {
		const deed = below(10)
		if (deed < 6) {
			const mutation = mutate(files, random)
			files = mutation.files
			said.push(mutation.what)
		} else if (deed < 8) {
			const folder = new Map(files.map(({ name, bytes }) => [name, Buffer.from(bytes)]))
			const attacked = await new RandomAttacker(below(2 ** 31)).attack(folder, folder)
			files = [...attacked].map(([name, bytes]) => ({ name, bytes }))
			said.push('attacked')
		} else {
			const at = below(files.length)
			files = files.map((each, index) =>
				index === at ? { ...each, bytes: scrambled(each.bytes, below) } : each,
			)
			said.push(`scrambled ${files[at]?.name}`)
		}
	}
	return { name: said.join('; '), files, heads, boot: 1 + below(2) }
}

/** Cuts out, moves, duplicates or inserts bytes. */
function scrambled(bytes: Uint8Array, below: (bound: number) => number): Buffer {
	const whole = Buffer.from(bytes)
	const at = below(whole.length + 1)
	const length = below(400)
	const [head, rest] = [whole.subarray(0, at), whole.subarray(at)]
	const piece = whole.subarray(below(whole.length + 1)).subarray(0, length)
	const random = Buffer.from(Array.from({ length }, () => below(256)))
	const results = [
		[head, rest.subarray(length)],
		[head, piece, rest],
		[head, random, rest],
		[head, piece, rest.subarray(piece.length)],
		[head, Buffer.alloc(length)],
		[random],
		[],
	]
	return Buffer.concat(results[below(results.length)]!)
}
