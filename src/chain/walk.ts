/**
 * Drives the scanner over a file without blocking the event loop: entries come in groups, one group a piece read.
 */
import type { FileSystem } from './file-system.ts'
import { type ScanEntry, Scanner } from './scan.ts'

const PIECE_BYTES = 256 * 1024

/** A file opened for reading, as the walkers need it. */
export interface OpenFile {
	readonly system: FileSystem
	readonly fd: number
	readonly idChecksum: number
}

/** The entries in `[from, to)` of a file, in order, in groups. */
export async function* walkFile(file: OpenFile, from: number, to: number): AsyncGenerator<ScanEntry[]> {
	const scanner = new Scanner(file.idChecksum, from)
	let position = from
	for (;;) {
		const entries: ScanEntry[] = []
		let step = scanner.next()
		for (; step.type !== 'more' && step.type !== 'end'; step = scanner.next()) entries.push(step)
		if (entries.length > 0) yield entries
		if (step.type === 'end') return
		const piece = await readPiece(file, Math.min(Math.max(step.bytes, PIECE_BYTES), to - position), position)
		position += piece.length
		if (piece.length === 0) scanner.end()
		else scanner.push(piece)
	}
}

/** Up to `length` bytes from `position`; fewer only at the end of the file. */
export async function readPiece(file: OpenFile, length: number, position: number): Promise<Buffer> {
	if (length <= 0) return Buffer.alloc(0)
	const bytes = Buffer.allocUnsafeSlow(length)
	let done = 0
	while (done < length) {
		const count = await file.system.read(file.fd, bytes, done, length - done, position + done)
		if (count === 0) break
		done += count
	}
	return bytes.subarray(0, done)
}
