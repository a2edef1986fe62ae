/**
 * Keeps the durable watermark of a chain beside it: written after each sync that succeeded, read by whoever must know what is
 * on disk and not only written. It only ever says less than is true; a failure to write it is counted, told, and tried again.
 */
import { dirname } from 'node:path'
import { SEQ_MAX } from '../../model/limits.ts'
import {
	closeQuietly,
	type FileStat,
	type FileSystem,
	isNamed,
	O_CREAT,
	O_NOFOLLOW,
	O_NONBLOCK,
	O_RDONLY,
	O_RDWR,
	openOurs,
	readFully,
	syncDirectory,
	writeFully,
} from '../../platform/file-system.ts'
import { decodeWatermark, encodeWatermark, WATERMARK_BYTES, type Watermark } from '../format/watermark.ts'
import { bootId, bootSince } from './boot-id.ts'

/** Where the watermark of a chain lies. */
export function watermarkPathOf(chainPath: string): string {
	return `${chainPath}.durable`
}

/** The watermark of a chain, or of whichever chain had this name last; undefined where there is none that verifies. */
export function readWatermark(
	system: FileSystem,
	chainPath: string,
	chainId: Uint8Array | undefined,
): Watermark | undefined {
	let fd: number | undefined
	try {
		fd = openOurs(system, watermarkPathOf(chainPath), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
		return decodeWatermark(readFully(system, fd, WATERMARK_BYTES, 0), chainId)
	} catch {
		// None, or none that may be read: nothing is known to be on disk.
		return undefined
	} finally {
		if (fd !== undefined) closeQuietly(system, fd)
	}
}

/**
 * Whether a power loss explains that a place of the last file cannot be read: nobody was told that it is on disk, and the machine was booted
 * since the newest anchor before it was written. The same evidence as a writer's (write/recovery.ts).
 */
export function isUnsyncedPlace(
	system: FileSystem,
	chainPath: string,
	{ id, segment }: { readonly id: Uint8Array; readonly segment: number },
	offset: number,
	lastBootId: Uint8Array | undefined,
): boolean {
	const mark = readWatermark(system, chainPath, id)
	if (mark === undefined || mark.segment > segment) return false
	if (mark.segment === segment && mark.offset > offset) return false
	return bootSince(lastBootId, bootId(system)) === 'changed'
}

/** A count of slots from here on was made by no writer: the file is begun anew while there is room to count on. */
const COUNTER_MAX = SEQ_MAX / 2

/** What a mark says of a segment. */
export type Durable = Pick<Watermark, 'segment' | 'offset' | 'seq'>

/**
 * One writer's hold on the watermark.
 *
 * Invariant: what is written is in the file of that name, and counts as the newest there: it is looked at before each mark.
 */
export class WatermarkFile {
	readonly #system: FileSystem
	readonly #path: string
	readonly #mode: number
	readonly #chainId: Uint8Array
	readonly #writer: { readonly epoch: number; readonly bootId: Uint8Array }
	#fd: number | undefined
	/** Of {@link #fd}. */
	#stat: FileStat | undefined
	/** Of the next slot; one that was not written whole is written again, so that the other one stays. */
	#counter: number
	/** The file, and its name, are on disk: there is a mark to tell a power loss by. */
	#isOnDisk: boolean
	/** What could not be said yet. */
	#untold: Durable | undefined
	#failure: unknown
	failures = 0

	constructor(
		system: FileSystem,
		chain: { readonly path: string; readonly id: Uint8Array; readonly mode: number },
		writer: { readonly epoch: number; readonly bootId: Uint8Array },
		before: Watermark | undefined,
	) {
		this.#system = system
		this.#path = watermarkPathOf(chain.path)
		this.#mode = chain.mode
		this.#chainId = chain.id
		this.#writer = writer
		this.#counter = (before?.counter ?? -1) + 1
		this.#isOnDisk = before !== undefined
	}

	/** Why it does not say what it should; undefined when it does. */
	get failure(): unknown {
		return this.#failure
	}

	/**
	 * Says what of a segment is on disk; what came before it is. Never throws: where it fails, what was said last is still true, and
	 * {@link retry} or the next call says it again.
	 */
	write(durable: Durable): void {
		try {
			if (this.#fd !== undefined && !isNamed(this.#system, this.#path, this.#stat!)) this.forget()
			const fd = this.#fd ?? this.#open()
			const mark = { ...this.#writer, ...durable, chainId: this.#chainId, counter: this.#counter }
			const { bytes, position } = encodeWatermark(mark)
			writeFully(this.#system, fd, bytes, position)
			if (!this.#isOnDisk) this.#putOnDisk(fd)
			this.#counter++
			this.#untold = undefined
			this.#failure = undefined
		} catch (error) {
			this.failures++
			this.#untold = durable
			this.#failure = error
			this.#letGo()
		}
	}

	/** Says what could not be said before. */
	retry(): void {
		if (this.#untold !== undefined) this.write(this.#untold)
	}

	/** The file was removed: the next mark makes it anew. */
	forget(): void {
		this.#letGo()
		this.#isOnDisk = false
	}

	/** What could not be said is tried for the last time. */
	close(): void {
		this.retry()
		this.#letGo()
	}

	/** Opens the file, or makes it: what stands in it may have been put there by others. */
	#open(): number {
		const system = this.#system
		const fd = openOurs(system, this.#path, O_RDWR | O_CREAT, this.#mode)
		this.#fd = fd
		this.#stat = system.fstatSync(fd)
		const { counter = -1 } = decodeWatermark(readFully(system, fd, WATERMARK_BYTES, 0), this.#chainId) ?? {}
		this.#counter = Math.max(this.#counter, counter + 1)
		if (this.#counter > COUNTER_MAX) {
			system.ftruncateSync(fd, 0)
			this.#counter = 0
		}
		return fd
	}

	#putOnDisk(fd: number): void {
		this.#system.fdatasyncSync(fd)
		syncDirectory(this.#system, dirname(this.#path))
		this.#isOnDisk = true
	}

	#letGo(): void {
		if (this.#fd !== undefined) closeQuietly(this.#system, this.#fd)
		this.#fd = undefined
	}
}
