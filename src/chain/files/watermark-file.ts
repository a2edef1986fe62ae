/**
 * Stores the durable watermark of a chain in a file beside the chain. The watermark is written after each
 * successful sync. Readers use it to distinguish bytes that are on disk from bytes that have only been
 * written. The watermark never covers bytes that are not on disk. Failed writes are counted here;
 * `write/watermark-keeper.ts` reports and retries them.
 */
import { dirname } from 'node:path'
import { SEQ_MAX } from '../../model/limits.ts'
import {
	closeQuietly,
	type FileStat,
	type FileSystem,
	isNamed,
	O_CREAT,
	O_RDONLY,
	O_RDWR,
	openOurs,
	readFully,
	syncDirectory,
	withFile,
	writeFully,
} from '../../platform/file-system.ts'
import { decodeWatermark, encodeWatermark, WATERMARK_BYTES, type Watermark } from '../format/watermark.ts'
import { bootId, bootSince } from './boot-id.ts'

/** Returns the path of a chain's watermark file. */
export function watermarkPathOf(chainPath: string): string {
	return `${chainPath}.durable`
}

/**
 * Returns the watermark of a chain or, if no id is given, of the last chain at this path. Returns undefined
 * if no watermark verifies.
 */
export function readWatermark(
	system: FileSystem,
	chainPath: string,
	chainId: Uint8Array | undefined,
): Watermark | undefined {
	try {
		const path = watermarkPathOf(chainPath)
		const bytes = withFile(system, path, O_RDONLY, ({ fd }) => readFully(system, fd, WATERMARK_BYTES, 0))
		return decodeWatermark(bytes, chainId)
	} catch {
		// Without a readable watermark, no bytes can be assumed to be on disk.
		return undefined
	}
}

/**
 * Returns whether unreadable bytes at `offset` in the last file can be the result of a power loss. This is
 * possible if there is a watermark that does not cover these bytes, and the machine was rebooted after the
 * newest anchor before them was written. Writers use the same evidence (write/recovery.ts).
 */
export function isUnsyncedAt(
	{ system, chainPath, identity: { id, segment } }: LastFile,
	offset: number,
	lastBootId: Uint8Array | undefined,
): boolean {
	const watermark = readWatermark(system, chainPath, id)
	if (watermark === undefined || watermark.segment > segment) return false
	if (watermark.segment === segment && watermark.offset > offset) return false
	return bootSince(lastBootId, bootId(system)) === 'changed'
}

interface LastFile {
	readonly system: FileSystem
	readonly chainPath: string
	readonly identity: { readonly id: Uint8Array; readonly segment: number }
}

/**
 * Highest accepted counter. No writer ever reaches it. A file with a higher counter is emptied, and the
 * counter restarts at 0.
 */
const COUNTER_MAX = SEQ_MAX / 2

/** The part of a watermark that records how much of a segment is on disk. */
export type Durable = Pick<Watermark, 'segment' | 'offset' | 'seq'>

/**
 * Writes the watermark of a chain for one writer.
 *
 * Invariant: each watermark is written to the file that is currently at the path, and becomes the newest
 * watermark in that file. The path is checked before each write, and the counter is checked whenever the file
 * is opened.
 */
export class WatermarkFile {
	readonly #system: FileSystem
	readonly #path: string
	readonly #mode: number
	readonly #chainId: Uint8Array
	readonly #writer: { readonly epoch: number; readonly bootId: Uint8Array }
	#fd: number | undefined
	/** Status of the file when {@link #fd} was opened. */
	#stat: FileStat | undefined
	/**
	 * Counter of the next slot. After a partial write, the same slot is written again, so that the other slot
	 * stays intact.
	 */
	#counter: number
	/**
	 * Whether the file and its directory entry have been synced. Until then, a power loss may remove the file.
	 */
	#isOnDisk: boolean
	/** Watermark that could not be written. */
	#unwritten: Durable | undefined
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

	/** Error from the last write; undefined if it succeeded. */
	get failure(): unknown {
		return this.#failure
	}

	/**
	 * Records how much of a segment is on disk. All earlier segments must also be on disk. Never throws. After
	 * a failure, the previous watermark is still valid, and {@link retry} or the next call attempts another
	 * write.
	 */
	write(durable: Durable): void {
		try {
			if (this.#fd !== undefined && !isNamed(this.#system, this.#path, this.#stat!)) this.forget()
			const fd = this.#fd ?? this.#open()
			const watermark = { ...this.#writer, ...durable, chainId: this.#chainId, counter: this.#counter }
			const { bytes, position } = encodeWatermark(watermark)
			writeFully(this.#system, fd, bytes, position)
			if (!this.#isOnDisk) this.#putOnDisk(fd)
			this.#counter++
			this.#unwritten = undefined
			this.#failure = undefined
		} catch (error) {
			this.failures++
			this.#unwritten = durable
			this.#failure = error
			this.#letGo()
		}
	}

	/** Retries the last write of the watermark if it failed. */
	retry(): void {
		if (this.#unwritten !== undefined) this.write(this.#unwritten)
	}

	/**
	 * Stops using the current file, which may have been removed. The next write opens or creates the file at
	 * the path.
	 */
	forget(): void {
		this.#letGo()
		this.#isOnDisk = false
	}

	/** Retries the last write if it failed, then closes the file. */
	close(): void {
		this.retry()
		this.#letGo()
	}

	/**
	 * Opens or creates the file. Reads the counter in the file, because other programs may have written to
	 * it.
	 */
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
