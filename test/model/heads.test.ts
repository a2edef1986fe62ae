/**
 * RELIABILITY, row 14, at random: whatever somebody does to the files of a chain, a head that was kept elsewhere never lets a change at or below
 * it pass, and only what is missing before the first file may be `cannot be checked`.
 */
import { beforeAll, expect, test, vi } from 'vitest'
import { headText } from '../../src/chain/verify/head.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { type GapCause, gapRecord, type LogRecord } from '../../src/record.ts'
import {
	chainFiles,
	type Folder,
	type Rewriting,
	recordsIn,
	rewrite,
	rewriteFrom,
} from '../support/attacker.ts'
import { randomFrom, SEED, tellCounts } from '../support/counts.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { readAll } from '../support/oracle.ts'
import { record } from '../support/records.ts'

const PATH = '/c/node.chain'
const LIVE = 'node.chain'
const ATTACKS = 300

beforeAll(() => void vi.spyOn(process, 'emitWarning').mockImplementation(() => {}))

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
		heads.push({ seq: head.seq, text: headText(head) })
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

type Change = NonNullable<Rewriting['change']>

/** Something that somebody does, at random. */
class Attacker {
	readonly #random: () => number

	constructor(seed: number) {
		this.#random = randomFrom(seed)
	}

	async attack(folder: Folder, older: Folder): Promise<Folder> {
		let changed: Folder = new Map(folder)
		for (let steps = 1 + this.#below(3); steps > 0; steps--) changed = await this.#step(changed, older)
		return changed
	}

	async #step(folder: Folder, older: Folder): Promise<Folder> {
		const names = chainFiles(folder)
		const name = this.#oneOf(names)
		if (name === undefined) return folder
		const bytes = folder.get(name)!
		const deed = this.#below(11)
		if (deed === 0 && names.length > 1) folder.delete(name)
		else if (deed === 1) folder.delete(`${LIVE}.durable`)
		else if (deed === 2) folder.set(name, bytes.subarray(0, 102 + this.#below(bytes.length - 102)))
		else if (deed === 3) {
			const flipped = Buffer.from(bytes)
			flipped[this.#below(bytes.length)]! ^= 1 << this.#below(8)
			folder.set(name, flipped)
		} else if (deed === 4) {
			const fs = diskWith(folder)
			await repairChain(PATH, { fs }).catch(() => {})
			return folderOf(fs)
		} else if (deed === 6) this.#retain(folder, names)
		else if (deed === 5 && older.has(name)) folder.set(name, older.get(name)!)
		else {
			folder.set(`${name}.before-repair-${this.#below(3)}`, bytes)
			this.#rewrite(folder, name)
		}
		return folder
	}

	/** Deletes the oldest files as if retention had. */
	#retain(folder: Folder, names: readonly string[]): void {
		const kept = this.#oneOf(names.slice(1))
		if (kept === undefined || !folder.has(LIVE)) return
		const keptFromSeq = kept === LIVE ? 1 + this.#below(60) : Number(/\d+/.exec(kept)?.[0])
		try {
			rewrite(folder, LIVE, { keptFromSeq })
		} catch {
			return
		}
		for (const name of names.slice(0, names.indexOf(kept))) folder.delete(name)
	}

	/** A forger has to be able to read the file. */
	#rewrite(folder: Folder, name: string): void {
		const options: Rewriting = {
			change: this.#change(),
			...(this.#below(2) === 0 ? { ends: ['repaired', 0] as const } : {}),
			...(this.#below(3) === 0 ? { keptFromSeq: this.#below(60) } : {}),
		}
		try {
			if (this.#below(2) === 0) rewrite(folder, name, options)
			else rewriteFrom(folder, name, options)
		} catch {
			folder.delete(`${LIVE}.durable`)
		}
	}

	#change(): Change {
		const at = this.#below(6)
		const cause = this.#oneOf<GapCause>(['damaged', 'notImported', 'retained', 'evicted', 'unsynced'])!
		const changes: readonly Change[] = [
			(records) => records,
			(records) => records.map((each, index) => (index === at ? { ...each, message: 'other' } : each)),
			(records) => records.filter((_each, index) => index < at),
			(records) =>
				records.map((each, index) =>
					index === at ? gapRecord(gapOf(each.seq, each.seq, cause), each) : each,
				),
			(records) => {
				const last = records.at(-1)
				return last === undefined
					? records
					: [...records, gapRecord(gapOf(last.seq + 1, last.seq + 12, cause), last)]
			},
			(records) => {
				const last = records.at(-1)
				return last === undefined ? records : [...records, { ...last, seq: last.seq + 1, message: 'more' }]
			},
		]
		return this.#oneOf(changes)!
	}

	#below(limit: number): number {
		return Math.floor(this.#random() * limit)
	}

	#oneOf<T>(items: readonly T[]): T | undefined {
		return items[this.#below(items.length)]
	}
}

function gapOf(fromSeq: number, toSeq: number, cause: GapCause) {
	return { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause }
}

const shown = ({ seq, message, epoch, tsMs }: LogRecord) => `${seq} ${epoch} ${tsMs} ${message}`

test('no change at or below a head passes, whatever the files say of themselves', async () => {
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
		const fs = diskWith(await new Attacker(seed).attack(folder, older))
		let found: string[]
		try {
			found = (await readAll(PATH, fs)).map(shown)
		} catch {
			// What cannot be opened answers nothing.
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
			// Only what stood before the first file is excused: what is there is as it was.
			counts['cannot be checked']++
			const rest = below.filter((each) => !each.includes('absent')).join()
			expect([what, expected.join().endsWith(rest)]).toEqual([what, true])
		}
	}
	expect(counts['not ok']).toBeGreaterThan(ATTACKS / 4)
	expect(counts['cannot be checked']).toBeGreaterThan(0)
	tellCounts(14, `changes at random against heads (seed ${SEED})`, counts)
}, 600_000)
