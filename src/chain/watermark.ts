/**
 * Keeps the durable watermark of a chain beside it: written after each sync that succeeded, read by whoever must know what is
 * on disk and not only written. It only ever says less than is true, so failing to write it harms nothing.
 */
import { bootId } from './boot-id.ts'
import {
	type FileSystem,
	O_CREAT,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	readFully,
	writeFully,
} from './file-system.ts'
import { decodeWatermark, encodeWatermark, WATERMARK_BYTES, type Watermark } from './format/watermark.ts'

/** Where the watermark of a chain lies. */
export function watermarkPathOf(chainPath: string): string {
	return `${chainPath}.durable`
}

/** The watermark of a chain; undefined where there is none that verifies and belongs to it. */
export function readWatermark(
	system: FileSystem,
	chainPath: string,
	chainId: Uint8Array,
): Watermark | undefined {
	let fd: number | undefined
	try {
		fd = system.openSync(watermarkPathOf(chainPath), O_RDONLY | O_NOFOLLOW)
		return decodeWatermark(readFully(system, fd, WATERMARK_BYTES, 0), chainId)
	} catch {
		// None, or none that may be read: nothing is known to be on disk.
		return undefined
	} finally {
		if (fd !== undefined) system.closeSync(fd)
	}
}

/** One writer's hold on the watermark. */
export class WatermarkFile {
	readonly #system: FileSystem
	readonly #path: string
	readonly #mode: number
	readonly #chainId: Uint8Array
	readonly #epoch: number
	readonly #bootId: Uint8Array
	#fd: number | undefined
	#counter: number
	#failed = false

	constructor(
		system: FileSystem,
		chain: { readonly path: string; readonly id: Uint8Array; readonly epoch: number; readonly mode: number },
		before: Watermark | undefined,
	) {
		this.#system = system
		this.#path = watermarkPathOf(chain.path)
		this.#mode = chain.mode
		this.#chainId = chain.id
		this.#epoch = chain.epoch
		this.#bootId = bootId(system)
		this.#counter = (before?.counter ?? -1) + 1
	}

	/** Says that everything below `offset`, up to `seq`, is on disk. After a failure it says nothing more. */
	write(offset: number, seq: number): void {
		if (this.#failed) return
		const mark = { epoch: this.#epoch, counter: this.#counter++, offset, seq, bootId: this.#bootId }
		const { bytes, position } = encodeWatermark(this.#chainId, mark)
		try {
			this.#fd ??= this.#system.openSync(this.#path, O_RDWR | O_CREAT | O_NOFOLLOW, this.#mode)
			writeFully(this.#system, this.#fd, bytes, position)
		} catch {
			// What it said last is still true.
			this.#failed = true
		}
	}

	close(): void {
		if (this.#fd !== undefined) this.#system.closeSync(this.#fd)
		this.#fd = undefined
		this.#failed = true
	}
}
