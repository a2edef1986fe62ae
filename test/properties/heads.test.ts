/**
 * RELIABILITY, row 14, at random: whatever is done to the files of a chain, a head stored elsewhere reveals
 * every change at or below it. Only what is missing before the first file may be `cannot be checked`.
 */
import { beforeAll, expect, test } from 'vitest'
import { formatHead } from '../../src/chain/verify/head.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { chainFiles, type Folder, recordsIn } from '../support/attacker.ts'
import { compare, filesIn } from '../support/compare-with-oracle.ts'
import { SEED, tellCounts } from '../support/counts.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { readAll } from '../support/oracle.ts'
import { RandomAttacker } from '../support/random-attacker.ts'
import { record } from '../support/records.ts'
import { silenceWarnings } from '../support/warnings.ts'

const PATH = '/c/node.chain'
const ATTACKS = 300

beforeAll(silenceWarnings)

function diskWith(folder: Folder): MemoryFileSystem {
	const fs = new MemoryFileSystem()
	for (const [name, bytes] of folder) fs.put(`/c/${name}`, bytes)
	return fs
}

const folderOf = (fs: MemoryFileSystem): Folder =>
	new Map(fs.paths.map((path) => [path.slice(3), fs.get(path)]))

interface KeptHead {
	readonly seq: number
	readonly text: string
}

async function writtenChain(): Promise<{ folder: Folder; older: Folder; heads: KeptHead[] }> {
	const fs = new MemoryFileSystem()
	const heads: KeptHead[] = []
	let older: Folder = new Map()
	const keepHead = async () => {
		const { head } = await verifyChain(PATH, { fs })
		heads.push({ seq: head.seq, text: formatHead(head) })
	}
	await new FileChainAppender(PATH, { fs }).close()
	await keepHead()
	for (let opening = 0; opening < 6; opening++) {
		const appender = new FileChainAppender(PATH, { fs, rotateRecords: 12 })
		for (let index = 0; index < 8; index++) {
			const seq = appender.nextSeq
			appender.append(record(seq, { message: `message ${seq}`, epoch: appender.epoch }))
			appender.flush()
			await new Promise((resolve) => setImmediate(resolve))
		}
		await appender.close()
		await keepHead()
		if (opening === 2) older = folderOf(fs)
	}
	return { folder: folderOf(fs), older, heads }
}

const shown = ({ seq, message, epoch, tsMs }: LogRecord) => `${seq} ${epoch} ${tsMs} ${message}`

test('no change at or below a head passes, whatever the files claim', async () => {
	const { folder, older, heads } = await writtenChain()
	const written = chainFiles(folder).flatMap((name) => recordsIn(folder.get(name)!))
	const counts = {
		attacks: 0,
		'not ok': 0,
		'cannot be checked': 0,
		'nothing at or below changed': 0,
	}
	for (const { seq, text } of heads) {
		expect([seq, (await verifyChain(PATH, { fs: diskWith(folder), head: text })).answer]).toEqual([seq, 'ok'])
	}
	for (let index = 0; index < ATTACKS; index++) {
		const seed = SEED + index
		counts.attacks++
		const fs = diskWith(await new RandomAttacker(seed).attack(folder, older))
		await compare(`seed ${seed}`, filesIn(fs, '/c'), [heads[3]!.text, heads.at(-1)!.text])
		let found: string[]
		try {
			found = (await readAll(PATH, fs)).map(shown)
		} catch {
			// A chain that cannot be opened gives no answer.
			continue
		}
		for (const { seq, text } of heads) {
			const { answer } = await verifyChain(PATH, { fs, head: text })
			const below = found.filter((each) => Number.parseInt(each, 10) <= seq)
			const expected = written.filter((each) => each.seq <= seq).map(shown)
			if (below.join() === expected.join()) {
				counts['nothing at or below changed']++
				continue
			}
			const what = `seed ${seed}, head at ${seq}`
			expect([what, ['not ok', 'cannot be checked'].includes(answer), answer]).toEqual([what, true, answer])
			if (answer === 'not ok') {
				counts['not ok']++
				continue
			}
			// Only what was before the first file is excused. The existing records must be unchanged.
			counts['cannot be checked']++
			const rest = below.filter((each) => !each.includes('absent')).join()
			expect([what, expected.join().endsWith(rest)]).toEqual([what, true])
		}
	}
	expect(counts['not ok']).toBeGreaterThan(ATTACKS / 4)
	expect(counts['cannot be checked']).toBeGreaterThan(0)
	tellCounts(14, `changes at random against heads (seed ${SEED})`, counts)
}, 600_000)
