/** Builds the messages of one chain from its frames or records. */
import {
	encodeFrame,
	FLAG_ASCII,
	FLAG_CONTROL,
	type Frame,
	frameBytesMax,
	identityChecksum,
	relocateFrame,
	rowsOf,
} from '../chain/index.ts'
import { RowEncoder } from '../codec/row-encoder.ts'
import { type GapCause, gapRecord, isGap, isOwnKind, type LogRecord, levelIndex } from '../model/record.ts'
import { addSums, type Sums, sumsOfFrame, sumsOfRecords } from './message-sums.ts'

/** Size limits of messages. */
export interface MessageLimits {
	/** Size in bytes at which a message is sent. */
	readonly targetBytes: number
	/** Maximum length of a message body that the servers accept, in bytes. */
	readonly bytesMax: number
}

/** A message ready to be sent. */
export interface OutgoingMessage {
	readonly body: Buffer
	/** Message id: `chainId:epoch:seq` of the first record. */
	readonly id: string
	/** Epoch of the last record. */
	readonly epoch: number
	readonly lastSeq: number
	/** Number of records in the message, including gaps. */
	readonly records: number
	/** Seqs of the records that were too large for any message. A gap replaces each of them. */
	readonly tooLarge: readonly number[]
	/** Sums over the chain's messages up to and including this one. */
	readonly sums: Sums
}

/** Limits for a frame that is built from records. */
const RUN_ROWS_MAX = 250
const RUN_BYTES_MAX = 16 * 1024

interface FramePosition {
	readonly epoch: number
	readonly seq: number
}

/** Collects frames and records until a message is full. */
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
	#tooLarge: number[] = []
	#sums: Sums
	/** Complete messages, oldest first. */
	#done: OutgoingMessage[] = []

	/** @param sums Sums over the existing messages of the chain. */
	constructor(chainId: string, limits: MessageLimits, sums: Sums) {
		this.#chainId = chainId
		this.#idChecksum = identityChecksum(Buffer.from(chainId, 'hex'), 0)
		this.#limits = limits
		this.#body = this.#newBody()
		this.#sums = sums
	}

	/** Whether the caller should call {@link take} now. */
	get isFull(): boolean {
		return this.#done.length > 0 || this.#length + this.#rows.length >= this.#limits.targetBytes
	}

	/** Adds a record. @throws {LogAppendError} If the record cannot be encoded. */
	add(record: LogRecord): void {
		const previous = this.#run.at(-1)
		const follows = previous?.epoch === record.epoch && previous.seq + 1 === record.seq && !isGap(record)
		if (!follows || this.#run.length >= RUN_ROWS_MAX || this.#rows.length >= RUN_BYTES_MAX) this.#seal()
		this.#rows.encode(record, (this.#run[0] ?? record).tsMs)
		this.#run.push(record)
	}

	/** Adds a copy of a frame. If the rows of the frame are not records, adds a gap instead. */
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

	/** Returns messages with all records added since the last call: usually one message or none. */
	take(): OutgoingMessage[] {
		this.#seal()
		this.#finish()
		const done = this.#done
		this.#done = []
		return done
	}

	/**
	 * Builds a frame from the run. A run that is too large for a message is split. A single record that is too
	 * large for a message becomes a gap.
	 */
	#seal(): void {
		const run = this.#run
		const [first] = run
		if (first === undefined) return
		const ascii = this.#rows.finish()
		const lengthMax = frameBytesMax(this.#rows.length)
		this.#run = []
		if (lengthMax > this.#limits.bytesMax) {
			this.#rows.reset()
			this.#split(run)
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

	#split(run: readonly LogRecord[]): void {
		const [first] = run
		if (first !== undefined && run.length === 1) {
			this.#tooLarge.push(first.seq)
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

	/** Reserves space for a frame at the end of the open message, or at the start of the next one. */
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
		this.#sums = addSums(this.#sums, sums)
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
		this.#tooLarge = []
	}

	#newBody(): Buffer {
		return Buffer.allocUnsafe(this.#limits.targetBytes + RUN_BYTES_MAX)
	}
}

/** Returns the gap for a frame whose rows cannot be read. */
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
