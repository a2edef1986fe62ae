/** The sealed files of a chain that is being written, as retention needs them; not looked at where nothing limits them. */
import type { FileSystem } from '../../file-system.ts'
import { listSegments } from '../files/segments.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import { countToRemove, type RetainedFile, type Retention } from './retention.ts'
import type { SegmentFile } from './segment-file.ts'

export class SealedFiles {
	readonly #system: FileSystem
	readonly #limits: Retention
	#files: RetainedFile[] = []
	readonly removed = { removedFiles: 0, removedRecords: 0 }

	constructor(system: FileSystem, chainPath: string, limits: Retention, live: ChainIdentity) {
		this.#system = system
		this.#limits = limits
		if (!this.#isLimited) return
		const found = listSegments(system, chainPath, live.id).filter(
			({ identity }) => identity.segment < live.segment,
		)
		this.#files = found.map(({ path, identity, bytes }, index) => {
			const next = found[index + 1]?.identity ?? live
			return fileOf(path, identity, bytes, next)
		})
	}

	get #isLimited(): boolean {
		return Object.values(this.#limits).some((limit) => limit !== undefined)
	}

	/** The live file was sealed, and `next` follows it. */
	add(path: string, { identity, written }: SegmentFile, next: ChainIdentity): void {
		if (this.#isLimited) this.#files.push(fileOf(path, identity, written, next))
	}

	/** The first seq that the limits leave; undefined when they leave everything. */
	keptFromSeq(live: { readonly bytes: number; readonly records: number }, nowMs: number): number | undefined {
		const count = countToRemove(this.#files, live, this.#limits, nowMs)
		const last = this.#files[count - 1]
		return last && last.firstSeq + last.records
	}

	/** Removes the files that hold nothing from there on. What cannot be removed stays for the next time. */
	removeBelow(keptFromSeq: number): void {
		const kept: RetainedFile[] = []
		for (const file of this.#files) {
			const isBelow = file.firstSeq + file.records <= keptFromSeq
			if (isBelow && this.#remove(file.path)) {
				this.removed.removedFiles++
				this.removed.removedRecords += file.records
			} else kept.push(file)
		}
		this.#files = kept
	}

	#remove(path: string): boolean {
		try {
			this.#system.unlinkSync(path)
			return true
		} catch {
			return false
		}
	}
}

function fileOf(path: string, identity: ChainIdentity, bytes: number, next: ChainIdentity): RetainedFile {
	const { firstSeq } = identity
	const records = Math.max(0, next.firstSeq - firstSeq)
	const sealedMs = Number.isNaN(next.createdMs) ? Number.POSITIVE_INFINITY : next.createdMs
	return { path, firstSeq, bytes, records, sealedMs }
}
