/**
 * A bounded queue of text lines, each of which represents one record. If a line does not fit, the oldest
 * lines are dropped, and one `$gap` takes their place.
 *
 * Invariants: the lines in the queue and in the chunk never exceed the bound together, apart from one `$gap`.
 * Lines in the chunk, which is being written, are never dropped, so that a line is never cut.
 */
import { type GapData, gapRecord, isGap, type LogRecord } from '../model/record.ts'

/** Number of bytes at which a chunk is complete. */
const CHUNK_BYTES = 64 * 1024

interface Line {
	readonly record: LogRecord
	readonly text: string
	readonly bytes: number
}

/** Lines that are written together. */
export interface Chunk {
	readonly bytes: Uint8Array
	/** The records of the lines, without `$gap` records. */
	readonly records: readonly LogRecord[]
	/** For each of these records, the offset after its last byte. */
	readonly ends: readonly number[]
	/** Number of bytes that were accepted. */
	offset: number
}

type GapLine = (gap: GapData, at: { readonly epoch: number; readonly tsMs: number }) => string

export class LineQueue {
	readonly #bytesMax: number
	readonly #gapLine: GapLine
	#lines: Line[] = []
	/** Index of the oldest line. Earlier slots were removed. */
	#first = 0
	#bytes = 0
	#records = 0
	#chunk: Chunk | undefined
	#gap: GapData | undefined
	#gapEpoch = 1

	/** @param gapLine Formats the gap that takes the place of dropped lines. */
	constructor(bytesMax: number, gapLine: GapLine) {
		this.#bytesMax = bytesMax
		this.#gapLine = gapLine
	}

	/** Number of records whose lines are not completely written. `$gap` records are not counted. */
	get count(): number {
		const { ends = [], offset = 0 } = this.#chunk ?? {}
		return this.#records + ends.filter((end) => end > offset).length
	}

	/** Number of bytes that are not written. */
	get bytes(): number {
		return this.#bytes + (this.#chunk === undefined ? 0 : this.#chunk.bytes.length - this.#chunk.offset)
	}

	get isEmpty(): boolean {
		return this.#chunk === undefined && this.#first === this.#lines.length && this.#gap === undefined
	}

	/** Adds a line, and drops the oldest lines to make room. Returns the records of the dropped lines. */
	push(record: LogRecord, text: string): LogRecord[] {
		const bytes = Buffer.byteLength(text)
		if (bytes > this.#bytesMax) {
			// Only this line is dropped. A short line takes its place.
			const gap = widened(undefined, record)
			const dropped = this.push(gapRecord(gap, record), this.#gapLine(gap, record))
			return [...dropped.filter((each) => each.seq !== record.seq), record]
		}
		const dropped: LogRecord[] = []
		while (this.bytes + bytes > this.#bytesMax && this.#first < this.#lines.length)
			dropped.push(this.#shift().record)
		if (this.bytes + bytes > this.#bytesMax) dropped.push(record)
		else {
			this.#lines.push({ record, text, bytes })
			this.#bytes += bytes
			if (!isGap(record)) this.#records += 1
		}
		for (const each of dropped) this.#gap = widened(this.#gap, each)
		if (dropped.length > 0) this.#gapEpoch = record.epoch
		return dropped
	}

	/** Returns the chunk to write: the one that is only partly written, or a new one. */
	next(): Chunk | undefined {
		if (this.#chunk !== undefined || this.isEmpty) return this.#chunk
		const texts: string[] = []
		const ends: number[] = []
		const records: LogRecord[] = []
		let end = 0
		if (this.#gap !== undefined) {
			texts.push(this.#gapLine(this.#gap, { epoch: this.#gapEpoch, tsMs: Date.now() }))
			end = Buffer.byteLength(texts[0]!)
			this.#gap = undefined
		}
		while (this.#first < this.#lines.length && end < CHUNK_BYTES) {
			const { record, text, bytes } = this.#shift()
			texts.push(text)
			end += bytes
			if (isGap(record)) continue
			records.push(record)
			ends.push(end)
		}
		this.#chunk = { bytes: Buffer.from(texts.join('')), ends, records, offset: 0 }
		return this.#chunk
	}

	/**
	 * Moves past bytes of the chunk that were accepted. Returns the number of records whose lines are now
	 * complete.
	 */
	wrote(count: number): number {
		const chunk = this.#chunk
		if (chunk === undefined) return 0
		const before = chunk.offset
		chunk.offset += count
		if (chunk.offset >= chunk.bytes.length) this.#chunk = undefined
		return chunk.ends.filter((end) => end > before && end <= chunk.offset).length
	}

	/** Removes everything. Returns the records whose lines were not completely written. */
	clear(): LogRecord[] {
		const { ends = [], records = [], offset = 0 } = this.#chunk ?? {}
		const unwritten = records.filter((_record, index) => ends[index]! > offset)
		while (this.#first < this.#lines.length) {
			const { record } = this.#shift()
			if (!isGap(record)) unwritten.push(record)
		}
		this.#chunk = undefined
		this.#gap = undefined
		return unwritten
	}

	#shift(): Line {
		const line = this.#lines[this.#first]!
		this.#first += 1
		this.#bytes -= line.bytes
		if (!isGap(line.record)) this.#records -= 1
		if (this.#first * 2 > this.#lines.length) {
			this.#lines = this.#lines.slice(this.#first)
			this.#first = 0
		}
		return line
	}
}

/** Returns a gap that also covers a record. A `$gap` record counts as the records that it replaces. */
export function widened(gap: GapData | undefined, record: LogRecord): GapData {
	const own = isGap(record) ? record.data : undefined
	const fromSeq = gap?.fromSeq ?? own?.fromSeq ?? record.seq
	const count = (gap?.count ?? 0) + (own?.count ?? 1)
	return { fromSeq, toSeq: record.seq, count, cause: 'overflow' }
}
