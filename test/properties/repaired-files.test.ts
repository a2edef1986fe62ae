/**
 * The answers of `verify` for damaged and repaired chains, over all places of all files. Nobody is accused if
 * unreadable bytes explain a finding. One repair is enough, and afterwards the answer depends on the
 * originals that are left for comparison.
 */
import { beforeAll, expect, test } from 'vitest'
import type { ChainHead, VerifyReport } from '../../src/chain/chain.ts'
import { ANCHOR_BYTES } from '../../src/chain/format/anchor.ts'
import { formatHead } from '../../src/chain/verify/head.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { forgeMessage, relink } from '../support/forge.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { record } from '../support/records.ts'
import { silenceWarnings } from '../support/warnings.ts'

const PATH = '/chains/node.chain'
const ACCUSATIONS = ['brokenLink', 'wrongSeq', 'wrongAnchor', 'headMissing']

beforeAll(silenceWarnings)

interface Written {
	readonly files: ReadonlyMap<string, Buffer>
	/** Paths of the sealed files, oldest first, then of the live file. */
	readonly paths: readonly string[]
	/** Heads, one for each close of the chain. */
	readonly heads: readonly ChainHead[]
	readonly lastSeq: number
}

/** Writes several files with several openings in each. */
async function writtenChain(): Promise<Written> {
	const fs = new MemoryFileSystem()
	const heads: ChainHead[] = []
	let seq = 1
	for (let opening = 0; opening < 6; opening++) {
		const appender = new FileChainAppender(PATH, { fs, rotateRecords: 14 })
		for (let index = 0; index < 10; index++, seq++) {
			appender.append(
				record(seq, { message: `message ${seq} ${'x'.repeat(seq % 30)}`, epoch: appender.epoch }),
			)
			appender.flush()
			await new Promise((resolve) => setImmediate(resolve))
		}
		await appender.close()
		heads.push((await verifyChain(PATH, { fs })).head)
	}
	const sealed = fs.paths.filter((path) => /node-\d/.test(path)).sort((a, b) => firstSeqOf(a) - firstSeqOf(b))
	expect(sealed.length).toBeGreaterThanOrEqual(3)
	const files = new Map(fs.paths.map((path) => [path, fs.get(path)]))
	return { files, paths: [...sealed, PATH], heads, lastSeq: seq - 1 }
}

const firstSeqOf = (path: string) => Number(/-(\d+)/.exec(path)?.[1])

function diskWith({ files }: Written): MemoryFileSystem {
	const fs = new MemoryFileSystem()
	for (const [path, bytes] of files) fs.put(path, bytes)
	return fs
}

function damage(fs: MemoryFileSystem, path: string, at: number, bytes: number): void {
	const changed = fs.get(path)
	for (let index = at; index < Math.min(changed.length, at + bytes); index++) changed[index]! ^= 0x5a
	fs.put(path, changed)
}

/** Damages the message of one record. */
function damageRecord(fs: MemoryFileSystem, path: string, seq: number): void {
	const at = fs.get(path).indexOf(`message ${seq} `)
	expect(at).toBeGreaterThan(0)
	damage(fs, path, at, 5)
}

const kindsOf = ({ findings }: VerifyReport) => findings.map(({ kind }) => kind)
const isOriginal = (path: string) => path.includes('.before-repair-')

async function expectRepairable(fs: MemoryFileSystem, what: string): Promise<void> {
	const damaged = await verifyChain(PATH, { fs })
	expect([what, damaged.answer]).toEqual([what, 'not ok'])
	expect([what, kindsOf(damaged).filter((kind) => ACCUSATIONS.includes(kind))]).toEqual([what, []])
	const repaired = await repairChain(PATH, { fs })
	expect([what, repaired.answer, repaired.left]).toEqual([
		what,
		repaired.recordsLost > 0 ? 'ok, records lost' : 'ok',
		[],
	])
	expect([what, (await repairChain(PATH, { fs })).actions]).toEqual([what, []])
}

test('damage anywhere accuses nobody, and one repair makes the chain ok with a counted loss', async () => {
	const written = await writtenChain()
	for (const path of written.paths) {
		const size = written.files.get(path)!.length
		for (let at = 0; at < size; at += 97) {
			for (const bytes of [1, 300]) {
				const fs = diskWith(written)
				damage(fs, path, at, bytes)
				await expectRepairable(fs, `${bytes} bytes at ${at} of ${path}`)
			}
		}
	}
})

test('damage in two neighbouring files accuses nobody, and needs one repair', async () => {
	const written = await writtenChain()
	for (const [index, path] of written.paths.slice(0, -1).entries()) {
		const next = written.paths[index + 1]!
		const size = written.files.get(path)!.length
		for (const at of [0, 110, 400, Math.floor(size / 2), size - 300, size - 20]) {
			for (const nextAt of [0, 50, 110, 420, 900]) {
				const fs = diskWith(written)
				damage(fs, path, at, 60)
				damage(fs, next, nextAt, 60)
				await expectRepairable(fs, `${at} of ${path} and ${nextAt} of ${next}`)
			}
		}
	}
})

test('an older head holds exactly if nothing at or below it is damaged, also after repair', async () => {
	const written = await writtenChain()
	let [intact, hurt] = [0, 0]
	for (const [segment, path] of written.paths.entries()) {
		for (let at = 40; at < written.files.get(path)!.length; at += 331) {
			const fs = diskWith(written)
			damage(fs, path, at, 20)
			const check = async (isRepaired: boolean) => {
				const { answer: without } = await verifyChain(PATH, { fs })
				for (const head of written.heads) {
					const isIntact =
						head.segment < segment || (head.segment === segment && head.offset + ANCHOR_BYTES <= at)
					const { answer } = await verifyChain(PATH, { fs, head: formatHead(head) })
					const what = `${at} of ${path}, head at ${head.seq}, repaired: ${isRepaired}`
					expect([what, answer]).toEqual([what, isIntact ? without : 'not ok'])
					if (isIntact) intact++
					else hurt++
				}
			}
			await check(false)
			expect((await repairChain(PATH, { fs })).ok).toBe(true)
			await check(true)
		}
	}
	expect(intact).toBeGreaterThan(50)
	expect(hurt).toBeGreaterThan(50)
})

test('a followed repair without its original cannot be checked; a changed one is not ok', async () => {
	const written = await writtenChain()
	for (const path of written.paths) {
		const isLive = path === PATH
		const fs = diskWith(written)
		const firstSeq = isLive ? written.lastSeq - 2 : firstSeqOf(path)
		damageRecord(fs, path, firstSeq + 1)
		const { answer } = await repairChain(PATH, { fs })
		expect(answer).toBe('ok, records lost')
		const [original] = fs.paths.filter(isOriginal)
		const whole = diskWith({ ...written, files: new Map(fs.paths.map((each) => [each, fs.get(each)])) })
		fs.unlinkSync(original!)
		const alone = await verifyChain(PATH, { fs })
		expect([path, alone.answer]).toEqual([path, isLive ? 'ok, records lost' : 'cannot be checked'])
		expect((await repairChain(PATH, { fs })).answer).toBe(alone.answer)
		if (isLive) continue
		// The unchanged original, next to a file that a repair would not have created from it.
		whole.put(path, relink(forgeMessage(whole.get(path), `message ${firstSeq} `, `massage ${firstSeq} `)))
		expect([path, (await verifyChain(PATH, { fs: whole })).answer]).toEqual([path, 'not ok'])
		// A different file does not count as an original.
		fs.put(original!, written.files.get(written.paths.at(-1)!)!)
		expect([path, (await verifyChain(PATH, { fs })).answer]).toEqual([path, 'cannot be checked'])
	}
})

test('a changed original to which the next file links is not ok', async () => {
	const written = await writtenChain()
	const path = written.paths[1]!
	const fs = diskWith(written)
	const firstSeq = firstSeqOf(path)
	damageRecord(fs, path, firstSeq + 1)
	await repairChain(PATH, { fs })
	const [original] = fs.paths.filter(isOriginal)
	const edited = (file: string) =>
		forgeMessage(fs.get(file), `message ${firstSeq + 9} `, `massage ${firstSeq + 9} `)
	fs.put(original!, edited(original!))
	fs.put(path, relink(edited(path)))
	expect((await verifyChain(PATH, { fs })).answer).toBe('not ok')
})

test.each([
	['longer', 5],
	['shorter', 900],
])(
	'a file repaired twice that became %s is confirmed only by both originals together',
	async (how, bytes) => {
		const written = await writtenChain()
		const path = written.paths[1]!
		const fs = diskWith(written)
		const { length } = fs.get(path)
		damage(fs, path, fs.get(path).indexOf(`message ${firstSeqOf(path) + (how === 'longer' ? 2 : 1)} `), bytes)
		await repairChain(PATH, { fs })
		expect(fs.get(path).length > length).toBe(how === 'longer')
		damageRecord(fs, path, firstSeqOf(path) + 12)
		const twice = await repairChain(PATH, { fs })
		expect(twice).toMatchObject({ answer: 'ok, records lost', left: [] })
		expect(twice.recordsLost).toBeGreaterThan(1)
		const originals = fs.paths.filter(isOriginal)
		expect(originals).toHaveLength(2)
		for (const original of originals) {
			const bytes = fs.get(original)
			fs.unlinkSync(original)
			expect((await verifyChain(PATH, { fs })).ok).toBe(false)
			fs.put(original, bytes)
		}
		expect((await verifyChain(PATH, { fs })).answer).toBe('ok, records lost')
	},
)

test('damage in a repaired file, with or without the next, accuses nobody; one repair suffices', async () => {
	const written = await writtenChain()
	const path = written.paths[1]!
	const next = written.paths[2]!
	const repaired = diskWith(written)
	damageRecord(repaired, path, firstSeqOf(path) + 2)
	await repairChain(PATH, { fs: repaired })
	const files = new Map(repaired.paths.map((each) => [each, repaired.get(each)]))
	// The last anchor declares that the file counts to its end, whatever the next file says.
	for (let at = 0; at < files.get(path)!.length - ANCHOR_BYTES - 30; at += 41) {
		for (const nextAt of [undefined, 30, 700]) {
			const fs = diskWith({ ...written, files })
			damage(fs, path, at, 30)
			if (nextAt !== undefined) damage(fs, next, nextAt, 30)
			await expectRepairable(fs, `${at} of ${path}, ${nextAt} of ${next}`)
		}
	}
})

test('later links cover damage from before the next file: heads hold after its repair', async () => {
	const fs = new MemoryFileSystem()
	const first = new FileChainAppender(PATH, { fs })
	for (let seq = 1; seq <= 20; seq++) {
		first.append(record(seq))
		first.flush()
	}
	await first.close()
	damage(fs, PATH, fs.get(PATH).length - 500, 500)
	const second = new FileChainAppender(PATH, { fs })
	second.append(record(second.nextSeq, { epoch: second.epoch }))
	await second.close()
	const head = formatHead((await verifyChain(PATH, { fs })).head)
	expect((await verifyChain(PATH, { fs, head })).answer).toBe('not ok')
	expect((await repairChain(PATH, { fs })).answer).toBe('ok, records lost')
	expect((await verifyChain(PATH, { fs, head })).answer).toBe('ok, records lost')
	for (const original of fs.paths.filter(isOriginal)) fs.unlinkSync(original)
	expect((await verifyChain(PATH, { fs })).answer).toBe('cannot be checked')
	expect((await verifyChain(PATH, { fs, head })).answer).toBe('not ok')
})
