/**
 * What a message of a stream is: one frame as in a chain file, of the records of one chain and one epoch whose seqs follow one another. Its checksum
 * is that of a frame at offset 0 of the chain's first file. A header says what the chain's messages up to and with this one hold together, so that nobody has
 * to read them all to know it.
 */

import { identityChecksum } from '../chain/format/checksum.ts'
import {
	decodeFrame,
	encodeFrame,
	FLAG_ASCII,
	FLAG_CONTROL,
	FRAME_ROWS_MAX,
	type Frame,
	frameBytesMax,
} from '../chain/format/frame.ts'
import { rowsOf } from '../chain/scan/continuity.ts'
import { RowEncoder } from '../codec/row-encoder.ts'
import { gapRecord, isGap, isOwnKind, LOG_LEVELS, type LogRecord, levelIndex } from '../record.ts'

/** Sums over a chain's messages so far, as the header `Mesh-Chain-Sums` has them: JSON. */
export interface Sums {
	readonly records: number
	/** Records by level, as in `LOG_LEVELS`. */
	readonly levels: readonly number[]
	/** Of any record; null where there was none. */
	readonly minTsMs: number | null
	readonly maxTsMs: number | null
	readonly gaps: number
	/** Records that gaps stand for, by cause. */
	readonly absent: Readonly<Record<string, number>>
	readonly bytes: number
}

export const SUMS_HEADER = 'Mesh-Chain-Sums'

export const NO_SUMS: Sums = {
	records: 0,
	levels: LOG_LEVELS.map(() => 0),
	minTsMs: null,
	maxTsMs: null,
	gaps: 0,
	absent: {},
	bytes: 0,
}

export interface MessageLimits {
	/** A message is sent when its rows are so long. */
	readonly targetBytes: number
	/** No message is longer: the servers would refuse it. */
	readonly bytesMax: number
}

/** One message on its way. */
export interface OutgoingMessage {
	readonly body: Buffer
	/** Names it: `chainId:epoch:seq` of its first record. */
	readonly id: string
	readonly epoch: number
	readonly lastSeq: number
	readonly records: number
	/** Records among them that are too long for a message, and that a gap stands for. */
	readonly tooLarge: number
	/** With those of the messages before it. */
	readonly sums: Sums
}

/** Gathers records until a message is full. */
export class MessageBuilder {
	readonly #chainId: string
	readonly #idChecksum: number
	readonly #limits: MessageLimits
	readonly #rows = new RowEncoder()
	#sums: Sums
	#open: LogRecord[] = []

	/** @param sums of the messages before the first one. */
	constructor(chainId: string, limits: MessageLimits, sums: Sums) {
		this.#chainId = chainId
		this.#idChecksum = identityChecksum(Buffer.from(chainId, 'hex'), 0)
		this.#limits = limits
		this.#sums = sums
	}

	get isEmpty(): boolean {
		return this.#open.length === 0
	}

	/** Whether no more should come into the open message. */
	get isFull(): boolean {
		return this.#rows.length >= this.#limits.targetBytes || this.#open.length === FRAME_ROWS_MAX
	}

	/** Whether the record can come into the open message: of the same epoch, next in seq, and a gap only to open it. */
	takes(record: LogRecord): boolean {
		const last = this.#open.at(-1)
		return (
			last === undefined || (record.epoch === last.epoch && record.seq === last.seq + 1 && !isGap(record))
		)
	}

	/** @throws {LogAppendError} where no frame can hold it. */
	add(record: LogRecord): void {
		this.#rows.encode(record, (this.#open[0] ?? record).tsMs)
		this.#open.push(record)
	}

	/** What is open, as one message: more where it is longer than the servers take, with a gap for a record that is so by itself. */
	take(): OutgoingMessage[] {
		const records = this.#open
		const body = this.#sealed(records)
		if (body.length <= this.#limits.bytesMax) return [this.#message(body, records)]
		const [first] = records
		if (first !== undefined && records.length === 1) return this.#encoded([tooLargeGap(first)])
		const half = records.length >> 1
		return [...this.#encoded(records.slice(0, half)), ...this.#encoded(records.slice(half))]
	}

	#encoded(records: readonly LogRecord[]): OutgoingMessage[] {
		for (const record of records) this.add(record)
		return this.take()
	}

	#sealed(records: readonly LogRecord[]): Buffer {
		const ascii = this.#rows.finish()
		const { epoch, seq, tsMs } = records[0]!
		let flags = ascii ? FLAG_ASCII : 0
		for (const { level, kind } of records) {
			flags |= 1 << levelIndex(level)
			if (isOwnKind(kind)) flags |= FLAG_CONTROL
		}
		const head = { flags, epoch, baseSeq: seq, baseTsMs: tsMs, rows: records.length }
		const body = Buffer.allocUnsafe(frameBytesMax(this.#rows.length))
		const length = encodeFrame(body, 0, head, this.#rows, 0, this.#idChecksum)
		this.#rows.reset()
		this.#open = []
		return body.subarray(0, length)
	}

	#message(body: Buffer, records: readonly LogRecord[]): OutgoingMessage {
		const [first] = records
		const { epoch, seq } = first!
		this.#sums = summed(this.#sums, records, body.length)
		return {
			body,
			id: `${this.#chainId}:${epoch}:${seq}`,
			epoch,
			lastSeq: records.at(-1)!.seq,
			records: records.length,
			tooLarge: isGap(first!) && first.data?.cause === 'tooLarge' ? 1 : 0,
			sums: this.#sums,
		}
	}
}

function tooLargeGap({ seq, epoch, tsMs }: LogRecord): LogRecord {
	return gapRecord({ fromSeq: seq, toSeq: seq, count: 1, cause: 'tooLarge' }, { epoch, tsMs })
}

/** The frame of a message; undefined where it is none of this chain, or damaged. */
export function frameOf(body: Uint8Array, chainId: string): Frame | undefined {
	const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
	if (bytes.length < 12) return undefined
	return decodeFrame(bytes, 0, bytes.length, 0, identityChecksum(Buffer.from(chainId, 'hex'), 0))
}

/** @returns none where the header is missing or is not one of ours. */
export function sumsOf(header: string | undefined): Sums | undefined {
	try {
		const sums = JSON.parse(header ?? '') as Sums
		return Number.isSafeInteger(sums.records) && Array.isArray(sums.levels) ? sums : undefined
	} catch {
		return undefined
	}
}

/** Of one message alone. */
export function sumsOfFrame(frame: Frame): Sums {
	return summed(NO_SUMS, rowsOf(frame) ?? [], frame.length)
}

function summed(before: Sums, records: readonly LogRecord[], bytes: number): Sums {
	const levels = [...before.levels]
	const absent: Record<string, number> = { ...before.absent }
	let { records: count, gaps } = before
	let [min, max] = [before.minTsMs ?? Number.POSITIVE_INFINITY, before.maxTsMs ?? Number.NEGATIVE_INFINITY]
	for (const record of records) {
		if (isGap(record)) {
			gaps++
			const { cause = 'damaged', count: missing = 0 } = record.data ?? {}
			absent[cause] = (absent[cause] ?? 0) + missing
			continue
		}
		count++
		levels[levelIndex(record.level)]! += 1
		if (record.tsMs < min) min = record.tsMs
		if (record.tsMs > max) max = record.tsMs
	}
	return {
		records: count,
		levels,
		minTsMs: count === 0 ? null : min,
		maxTsMs: count === 0 ? null : max,
		gaps,
		absent,
		bytes: before.bytes + bytes,
	}
}
