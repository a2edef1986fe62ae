/**
 * Maintains the list of a chain's sealed files for retention while the chain is being written. If retention
 * has no bounds, the files are not read.
 */
import { type FileSystem, systemCode } from '../../platform/file-system.ts'
import { listSegments } from '../files/segments.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import { countToRemove, type LiveFile, type RetainedFile, type Retention } from './retention.ts'
import type { SegmentFile } from './segment-file.ts'

/** Fraction of `ageMs` by which a clock reading may exceed the previous reading without confirmation. */
const UNCONFIRMED_PART = 1 / 100
/**
 * Minimum time between two readings that confirm each other, in milliseconds. A wrong clock stays wrong for a
 * while.
 */
export const SECOND_LOOK_MS = 500

export interface SealedFilesOptions {
	readonly limits: Retention
	readonly live: ChainIdentity
	/** Clock reading from before this opening; -Infinity if unknown. */
	readonly seenMs: number
}

export class SealedFiles {
	readonly #system: FileSystem
	readonly #limits: Retention
	#files: RetainedFile[] = []
	/** Totals for {@link #files}. */
	#bytes = 0
	#records = 0
	/** The reading that can confirm a later one, and its time on the monotonic clock. */
	#seenMs: number
	#seenAt = Number.NEGATIVE_INFINITY
	#lastMs = Number.NEGATIVE_INFINITY
	/** The time on which two readings agree. */
	#nowMs = Number.NEGATIVE_INFINITY
	readonly removed = { removedFiles: 0, removedRecords: 0 }

	constructor(system: FileSystem, chainPath: string, { limits, live, seenMs }: SealedFilesOptions) {
		this.#system = system
		this.#limits = limits
		this.#seenMs = seenMs
		if (!this.#isLimited) return
		const found = listSegments(system, chainPath, live.id).filter(
			({ identity }) => identity.segment < live.segment,
		)
		for (const [index, { path, identity, bytes }] of found.entries()) {
			this.#push(fileOf(path, identity, bytes, found[index + 1]?.identity ?? live))
		}
	}

	get #isLimited(): boolean {
		return Object.values(this.#limits).some((limit) => limit !== undefined)
	}

	/** Adds the live file after it has been sealed. `next` identifies the file that follows it. */
	add(path: string, { identity, written }: SegmentFile, next: ChainIdentity): void {
		if (this.#isLimited) this.#push(fileOf(path, identity, written, next))
	}

	/**
	 * Records a clock reading. A file is too old only if two readings agree, so a single wrong reading does not
	 * cause a removal.
	 */
	look(nowMs: number): void {
		const { ageMs } = this.#limits
		if (ageMs === undefined) return
		const at = performance.now()
		this.#lastMs = nowMs
		if (at - this.#seenAt < SECOND_LOOK_MS) {
			this.#seenMs = Math.min(this.#seenMs, nowMs)
			this.#nowMs = Math.min(this.#nowMs, nowMs)
			return
		}
		this.#nowMs = Math.min(nowMs, this.#seenMs + ageMs * UNCONFIRMED_PART)
		this.#seenMs = nowMs
		this.#seenAt = at
	}

	/** Returns whether more files would be removed if another reading confirmed the last one. */
	isUnconfirmed(live: LiveFile): boolean {
		if (this.#nowMs >= this.#lastMs) return false
		const countAt = (ms: number) => countToRemove(this.#files, live, this.#limits, ms)
		return countAt(this.#lastMs) > countAt(this.#nowMs)
	}

	/** Returns whether the chain exceeds its bounds on bytes or records, and a file can be removed. */
	exceeds({ bytes, records }: Pick<LiveFile, 'bytes' | 'records'>): boolean {
		if (this.#files.length === 0) return false
		const { bytes: bytesMax, records: recordsMax } = this.#limits
		return (
			(bytesMax !== undefined && this.#bytes + bytes > bytesMax) ||
			(recordsMax !== undefined && this.#records + records > recordsMax)
		)
	}

	/** Returns the first seq to keep in order to stay within the bounds; undefined if everything is kept. */
	keptFromSeq(live: LiveFile): number | undefined {
		const count = countToRemove(this.#files, live, this.#limits, this.#nowMs)
		const last = this.#files[count - 1]
		return last && last.firstSeq + last.records
	}

	/**
	 * Removes the files that contain only seqs below `keptFromSeq`, oldest first. Stops at a file that cannot
	 * be removed.
	 */
	removeBelow(keptFromSeq: number): void {
		for (let file = this.#files[0]; file !== undefined; file = this.#files[0]) {
			const { path, firstSeq, records, bytes } = file
			if (firstSeq + records > keptFromSeq || !this.#remove(path)) return
			this.#files.shift()
			this.#bytes -= bytes
			this.#records -= records
			this.removed.removedFiles++
			this.removed.removedRecords += records
		}
	}

	#push(file: RetainedFile): void {
		this.#files.push(file)
		this.#bytes += file.bytes
		this.#records += file.records
	}

	#remove(path: string): boolean {
		try {
			this.#system.unlinkSync(path)
			return true
		} catch (error) {
			return systemCode(error) === 'ENOENT'
		}
	}
}

function fileOf(path: string, identity: ChainIdentity, bytes: number, next: ChainIdentity): RetainedFile {
	const { firstSeq, createdMs } = identity
	return { path, firstSeq, bytes, records: Math.max(0, next.firstSeq - firstSeq), begunMs: createdMs }
}
