import { repairChain } from '../../src/chain/verify/repair.ts'
import { type GapCause, gapRecord } from '../../src/model/record.ts'
import { chainFiles, type Folder, type Rewriting, rewrite, rewriteFrom } from './attacker.ts'
import { randomFrom } from './counts.ts'
import { MemoryFileSystem } from './memory-file-system.ts'

const LIVE = 'node.chain'

type Change = NonNullable<Rewriting['change']>

/**
 * An attacker who does random things to the files of a chain: deletes, cuts, repairs, and rewrites them
 * consistently.
 */
export class RandomAttacker {
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
			const fs = new MemoryFileSystem()
			for (const [each, content] of folder) fs.put(`/c/${each}`, content)
			await repairChain(`/c/${LIVE}`, { fs }).catch(() => {})
			return new Map(fs.paths.map((path) => [path.slice(3), fs.get(path)]))
		} else if (deed === 6) this.#retain(folder, names)
		else if (deed === 5 && older.has(name)) folder.set(name, older.get(name)!)
		else {
			folder.set(`${name}.before-repair-${this.#below(3)}`, bytes)
			this.#rewrite(folder, name)
		}
		return folder
	}

	/** Deletes the oldest files, as retention would. */
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

	/** A forger must be able to read the file. */
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
