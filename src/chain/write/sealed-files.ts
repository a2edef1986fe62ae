/**
 * The sealed files of a chain that is being written, as retention needs them. They are not read where nothing
 * limits them.
 */
import { type FileSystem, systemCode } from '../../platform/file-system.ts'
import { listSegments } from '../files/segments.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import { countToRemove, type LiveFile, type RetainedFile, type Retention } from './retention.ts'
import type { SegmentFile } from './segment-file.ts'

/** A reading of the clock counts as far as an earlier one confirms it, within this part of `ageMs`. */
const UNCONFIRMED_PART = 1 / 100
/** The least time between the two readings: a clock that is wrong stays wrong for a while. */
export const SECOND_LOOK_MS = 500

export interface SealedFilesOptions {
	readonly limits: Retention
	readonly live: ChainIdentity
	/** A time that a clock showed before this opening; -Infinity where none is known. */
	readonly seenMs: number
}

export class SealedFiles {
	readonly #system: FileSystem
	readonly #limits: Retention
	#files: RetainedFile[] = []
	/** Sums over {@link #files}. */
	#bytes = 0
	#records = 0
	/** The reading that can confirm a later one, and when it was taken, by the monotonic clock. */
	#seenMs: number
	#seenAt = Number.NEGATIVE_INFINITY
	#lastMs = Number.NEGATIVE_INFINITY
	/** The time that two readings agree on. */
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

	/** The live file was sealed, and `next` follows it. */
	add(path: string, { identity, written }: SegmentFile, next: ChainIdentity): void {
		if (this.#isLimited) this.#push(fileOf(path, identity, written, next))
	}

	/**
	 * Takes a reading of the clock. A file is too old only once two readings agree, so that one wild reading
	 * removes nothing.
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

	/** Whether more files would be removed if another reading agreed with the last one. */
	isUnconfirmed(live: LiveFile): boolean {
		if (this.#nowMs >= this.#lastMs) return false
		const countAt = (ms: number) => countToRemove(this.#files, live, this.#limits, ms)
		return countAt(this.#lastMs) > countAt(this.#nowMs)
	}

	/** Whether the chain is larger than its bounds, and a file can be removed. */
	exceeds({ bytes, records }: Pick<LiveFile, 'bytes' | 'records'>): boolean {
		if (this.#files.length === 0) return false
		const { bytes: bytesMax, records: recordsMax } = this.#limits
		return (
			(bytesMax !== undefined && this.#bytes + bytes > bytesMax) ||
			(recordsMax !== undefined && this.#records + records > recordsMax)
		)
	}

	/** The first seq that the limits leave; undefined when they leave everything. */
	keptFromSeq(live: LiveFile): number | undefined {
		const count = countToRemove(this.#files, live, this.#limits, this.#nowMs)
		const last = this.#files[count - 1]
		return last && last.firstSeq + last.records
	}

	/**
	 * Removes the files that hold only seqs below `keptFromSeq`, the oldest first; stops at one that cannot be
	 * removed now.
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
