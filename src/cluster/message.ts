/**
 * What a message of a stream is: frames as in a chain file, of one chain, one behind the other and in its order. Their checksums are those of frames in the chain's
 * first file, at the offset that they have in the message. A header says what the chain's messages up to and with this one hold together, so that nobody has to read
 * them all to know it.
 */
import {
	claimedLength,
	decodeFrame,
	encodeFrame,
	FLAG_ASCII,
	FLAG_CONTROL,
	FRAME_FIXED_BYTES,
	type Frame,
	frameBytesMax,
	identityChecksum,
	looksLikeFrame,
	relocateFrame,
	rowBlockOf,
	rowsOf,
} from '../chain/index.ts'
import { sumRows } from '../codec/row-decoder.ts'
import { RowEncoder } from '../codec/row-encoder.ts'
import {
	type GapCause,
	gapRecord,
	isGap,
	isGapCause,
	isOwnKind,
	isRecordTime,
	isSeq,
	LOG_LEVELS,
	type LogRecord,
	levelIndex,
} from '../model/record.ts'

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
	/** A message is sent when it is so long. */
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
	/** Gaps among them. */
	readonly records: number
	/** Records that are too long for a message, and that a gap stands for. */
	readonly tooLarge: number
	/** With those of the messages before it. */
	readonly sums: Sums
}

/** Records of one frame that is not written yet. */
const RUN_ROWS_MAX = 250
const RUN_BYTES_MAX = 16 * 1024

interface FramePosition {
	readonly epoch: number
	readonly seq: number
}

/** Gathers frames, or records, until a message is full. */
export class MessageBuilder {
	readonly #chainId: string
	readonly #idChecksum: number
	readonly #limits: MessageLimits
	readonly #rows = new RowEncoder()
	/** The records in {@link #rows}. */
	#run: LogRecord[] = []
	#body: Buffer
	#length = 0
	#first: FramePosition | undefined
	#last: FramePosition = { epoch: 0, seq: 0 }
	#records = 0
	#tooLarge = 0
	#sums: Sums
	/** Those before the open one that are full. */
	#done: OutgoingMessage[] = []

	/** @param sums of the messages before the first one. */
	constructor(chainId: string, limits: MessageLimits, sums: Sums) {
		this.#chainId = chainId
		this.#idChecksum = identityChecksum(Buffer.from(chainId, 'hex'), 0)
		this.#limits = limits
		this.#body = this.#newBody()
		this.#sums = sums
	}

	/** Whether what was added should be taken. */
	get isFull(): boolean {
		return this.#done.length > 0 || this.#length + this.#rows.length >= this.#limits.targetBytes
	}

	/** @throws {LogAppendError} where no frame can hold it. */
	add(record: LogRecord): void {
		const before = this.#run.at(-1)
		const follows = before?.epoch === record.epoch && before.seq + 1 === record.seq && !isGap(record)
		if (!follows || this.#run.length >= RUN_ROWS_MAX || this.#rows.length >= RUN_BYTES_MAX) this.#seal()
		this.#rows.encode(record, (this.#run[0] ?? record).tsMs)
		this.#run.push(record)
	}

	/** The bytes are copied. A frame whose rows make no sense becomes a gap. */
	addFrame(frame: Frame): void {
		this.#seal()
		if (frame.length > this.#limits.bytesMax) {
			for (const record of rowsOf(frame) ?? [gapFor(frame)]) this.add(record)
			return
		}
		let sums: Sums
		try {
			sums = sumsOfFrame(frame)
		} catch {
			this.add(gapFor(frame))
			return
		}
		this.#reserve(frame.length)
		const at = this.#length
		frame.bytes.copy(this.#body, at, frame.rowsEnd - frame.length, frame.rowsEnd)
		relocateFrame(this.#body, at, frame.length, at, this.#idChecksum)
		this.#put(frame, frame.length, sums)
	}

	/** What was added since the last call, as messages: mostly one, or none. */
	take(): OutgoingMessage[] {
		this.#seal()
		this.#finish()
		const done = this.#done
		this.#done = []
		return done
	}

	/** Makes a frame of the run. One that is longer than a message is cut; a record that is so by itself becomes a gap. */
	#seal(): void {
		const run = this.#run
		const [first] = run
		if (first === undefined) return
		const ascii = this.#rows.finish()
		const lengthMax = frameBytesMax(this.#rows.length)
		this.#run = []
		if (lengthMax > this.#limits.bytesMax) {
			this.#rows.reset()
			this.#cut(run)
			return
		}
		this.#reserve(lengthMax)
		let flags = ascii ? FLAG_ASCII : 0
		for (const { level, kind } of run) {
			flags |= 1 << levelIndex(level)
			if (isOwnKind(kind)) flags |= FLAG_CONTROL
		}
		const head = { flags, epoch: first.epoch, baseSeq: first.seq, baseTsMs: first.tsMs, rows: run.length }
		const at = this.#length
		const length = encodeFrame(this.#body, at, head, this.#rows, at, this.#idChecksum)
		this.#rows.reset()
		this.#put(head, length, sumsOfRecords(run, length))
	}

	#cut(run: readonly LogRecord[]): void {
		const [first] = run
		if (first !== undefined && run.length === 1) {
			this.#tooLarge++
			this.add(gapOf(first.seq, first.seq, 'tooLarge', first))
			return
		}
		const half = run.length >> 1
		for (const [index, record] of run.entries()) {
			if (index === half) this.#seal()
			this.add(record)
		}
		this.#seal()
	}

	/** Room for a frame behind those of the open message, or at the beginning of the next one. */
	#reserve(length: number): void {
		if (this.#length > 0 && this.#length + length > this.#limits.bytesMax) this.#finish()
		if (this.#length + length <= this.#body.length) return
		const grown = Buffer.allocUnsafe(Math.max(2 * this.#body.length, this.#length + length))
		this.#body.copy(grown, 0, 0, this.#length)
		this.#body = grown
	}

	#put(
		{ epoch, baseSeq, rows }: Pick<Frame, 'epoch' | 'baseSeq' | 'rows'>,
		length: number,
		sums: Sums,
	): void {
		this.#length += length
		this.#first ??= { epoch, seq: baseSeq }
		this.#last = { epoch, seq: baseSeq + rows - 1 }
		this.#records += rows
		this.#sums = joined(this.#sums, sums)
	}

	#finish(): void {
		if (this.#first === undefined) return
		this.#done.push({
			body: this.#body.subarray(0, this.#length),
			id: `${this.#chainId}:${this.#first.epoch}:${this.#first.seq}`,
			epoch: this.#last.epoch,
			lastSeq: this.#last.seq,
			records: this.#records,
			tooLarge: this.#tooLarge,
			sums: this.#sums,
		})
		this.#body = this.#newBody()
		this.#length = 0
		this.#first = undefined
		this.#records = 0
		this.#tooLarge = 0
	}

	#newBody(): Buffer {
		return Buffer.allocUnsafe(this.#limits.targetBytes + RUN_BYTES_MAX)
	}
}

/** A message without a body holds no records: a `Publisher` sends them to know that nothing older is under way. */
export function isFence({ data }: { readonly data: Uint8Array }): boolean {
	return data.length === 0
}

/** The frames of a message that verify, in order; `isWhole` says whether those are all. */
export function framesOf(
	body: Uint8Array,
	chainId: string,
): { readonly frames: Frame[]; readonly isWhole: boolean } {
	const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
	const idChecksum = identityChecksum(Buffer.from(chainId, 'hex'), 0)
	const frames: Frame[] = []
	let at = 0
	while (bytes.length - at >= FRAME_FIXED_BYTES && looksLikeFrame(bytes, at)) {
		const length = claimedLength(bytes, at)
		if (length === undefined || at + length > bytes.length) break
		const frame = decodeFrame(bytes, at, length, at, idChecksum)
		if (frame !== undefined) frames.push(frame)
		else return { frames, isWhole: false }
		at += length
	}
	return { frames, isWhole: at === bytes.length && frames.length > 0 }
}

/** All records of a message; undefined where not all of it can be read. */
export function recordsOf({
	frames,
	isWhole,
}: {
	readonly frames: readonly Frame[]
	readonly isWhole: boolean
}) {
	const records: LogRecord[] = []
	for (const frame of frames) {
		const rows = rowsOf(frame)
		if (rows === undefined) return undefined
		for (const record of rows) records.push(record)
	}
	return isWhole ? records : undefined
}

/** @returns none where the header is missing or is not one of ours. */
export function sumsOf(header: string | undefined): Sums | undefined {
	try {
		const sums = JSON.parse(header ?? '') as Sums
		const { levels, minTsMs, maxTsMs } = sums
		const counts = [sums.records, sums.gaps, sums.bytes, ...levels, ...Object.values(sums.absent)]
		const areWhole = counts.every((count) => isSeq(count, 0))
		const areTimes = [minTsMs, maxTsMs].every((time) => time === null || isRecordTime(time))
		const areCauses = Object.keys(sums.absent).every(isGapCause)
		return areWhole && areCauses && areTimes && levels.length === LOG_LEVELS.length ? sums : undefined
	} catch {
		return undefined
	}
}

/** Of one frame alone. @throws {RangeError} where its rows make no sense. */
export function sumsOfFrame(frame: Frame): Sums {
	if ((frame.flags & FLAG_CONTROL) !== 0) return sumsOfRecords(rowsOf(frame) ?? [], frame.length)
	const { levels, minTsMs, maxTsMs } = sumRows(rowBlockOf(frame))
	return { ...NO_SUMS, records: frame.rows, levels, minTsMs, maxTsMs, bytes: frame.length }
}

export function joined(a: Sums, b: Sums): Sums {
	const absent: Record<string, number> = { ...a.absent }
	for (const [cause, count] of Object.entries(b.absent)) absent[cause] = (absent[cause] ?? 0) + count
	return {
		records: a.records + b.records,
		levels: a.levels.map((count, index) => count + b.levels[index]!),
		minTsMs: extreme(Math.min, a.minTsMs, b.minTsMs),
		maxTsMs: extreme(Math.max, a.maxTsMs, b.maxTsMs),
		gaps: a.gaps + b.gaps,
		absent,
		bytes: a.bytes + b.bytes,
	}
}

export function sumsOfRecords(records: Iterable<LogRecord>, bytes: number): Sums {
	const levels = LOG_LEVELS.map(() => 0)
	const absent: Record<string, number> = {}
	let [count, gaps] = [0, 0]
	let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
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
	const isNone = count === 0
	return {
		records: count,
		levels,
		minTsMs: isNone ? null : min,
		maxTsMs: isNone ? null : max,
		gaps,
		absent,
		bytes,
	}
}

function extreme(
	choose: (a: number, b: number) => number,
	a: number | null,
	b: number | null,
): number | null {
	return a === null || b === null ? (a ?? b) : choose(a, b)
}

function gapFor({ baseSeq, rows, epoch, baseTsMs }: Frame): LogRecord {
	return gapOf(baseSeq, baseSeq + rows - 1, 'damaged', { epoch, tsMs: baseTsMs })
}

function gapOf(
	fromSeq: number,
	toSeq: number,
	cause: GapCause,
	at: Pick<LogRecord, 'epoch' | 'tsMs'>,
): LogRecord {
	return gapRecord({ fromSeq, toSeq, count: toSeq - fromSeq + 1, cause }, { epoch: at.epoch, tsMs: at.tsMs })
}
