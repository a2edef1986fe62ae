/**
 * Keeps the durable watermark of a chain beside it. It is written after each successful sync, and read by
 * whatever must know what is on disk and not only written. It never says more than is true; a failed write is
 * counted, reported and retried.
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

/** Where the watermark of a chain lies. */
export function watermarkPathOf(chainPath: string): string {
	return `${chainPath}.durable`
}

/**
 * The watermark of a chain, or without an id of the chain that last had this path; undefined where none
 * verifies.
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
		// Without a watermark that can be read, nothing is known to be on disk.
		return undefined
	}
}

/**
 * Whether a power loss explains that the last file cannot be read from `offset` on: nothing has acknowledged
 * these bytes as on disk, and the machine was booted after the newest anchor before them was written. A
 * writer uses the same evidence (write/recovery.ts).
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
 * No writer has counted this far. A file with a higher count is begun anew, while there is room to count on.
 */
const COUNTER_MAX = SEQ_MAX / 2

/** What a watermark says of a segment. */
export type Durable = Pick<Watermark, 'segment' | 'offset' | 'seq'>

/**
 * One writer's hold on the watermark.
 *
 * Invariant: a watermark is written to the file that has the name, and counts as the newest in it: both are
 * checked before each write.
 */
export class WatermarkFile {
	readonly #system: FileSystem
	readonly #path: string
	readonly #mode: number
	readonly #chainId: Uint8Array
	readonly #writer: { readonly epoch: number; readonly bootId: Uint8Array }
	#fd: number | undefined
	/** What was found when {@link #fd} was opened. */
	#stat: FileStat | undefined
	/**
	 * The count of the next slot. A slot that was not written whole is written again, so that the other slot
	 * stays.
	 */
	#counter: number
	/** The file and its name are on disk, so that a power loss can be recognised by it. */
	#isOnDisk: boolean
	/** What could not be written. */
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

	/** Why the last write failed; undefined after a successful one. */
	get failure(): unknown {
		return this.#failure
	}

	/**
	 * Says what of a segment is on disk; everything before it is, too. Never throws: after a failure the
	 * previous watermark is still true, and {@link retry} or the next call writes again.
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

	/** Writes what could not be written. */
	retry(): void {
		if (this.#unwritten !== undefined) this.write(this.#unwritten)
	}

	/** The file was removed: the next write makes it anew. */
	forget(): void {
		this.#letGo()
		this.#isOnDisk = false
	}

	/** Tries for the last time to write what could not be written. */
	close(): void {
		this.retry()
		this.#letGo()
	}

	/** Opens the file or makes it. Others may have put something into it. */
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
