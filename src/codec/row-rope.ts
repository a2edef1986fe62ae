/**
 * The fast way to encode rows. Plain rows are collected in one text with one character per byte, and written
 * by one native call per frame, because a native call costs more than a short text. This works only if every
 * text is ASCII, which is checked once for all of them. Otherwise, or if a row is not plain, `row-encoder.ts`
 * encodes byte by byte.
 */
import { LOG_LEVELS, type LogRecord, levelIndex } from '../model/record.ts'
import { DEFAULT_KIND } from './row-columns.ts'

/**
 * Maximum length of a text here. The header of a longer text would contain a length byte that is not ASCII.
 */
const TEXT_LENGTH_MAX = 0x7f
const TS_DELTA_MAX = 0x7f

const NIL = '\xc0'
/** `ROW_STARTS[columns][dTs]` */
const ROW_STARTS = Array.from({ length: 7 }, (_unused, columns) =>
	Array.from({ length: TS_DELTA_MAX + 1 }, (_none, dTs) => String.fromCharCode(0x90 | columns, dTs)),
)
const TEXT_HEADERS = Array.from({ length: TEXT_LENGTH_MAX + 1 }, (_unused, length) =>
	length < 32 ? String.fromCharCode(0xa0 | length) : String.fromCharCode(0xd9, length),
)
/**
 * `LOG_MIDDLES[level][message.length]`: the bytes between `dTs` and the message of a record of the default
 * kind.
 */
const LOG_MIDDLES = LOG_LEVELS.map((_level, index) =>
	TEXT_HEADERS.map((header) => String.fromCharCode(index) + NIL + header),
)

export class RowRope {
	#text = ''
	/**
	 * Number of characters that stand for header bytes above 0x7f. If every text is ASCII, there are no
	 * others.
	 */
	#highBytes = 0
	#nodeId: string | undefined
	#nodeIdText = ''
	/** The records in the rope (the first {@link count}), in case they must be encoded in another way. */
	readonly records: LogRecord[] = []
	count = 0

	/** Number of characters, which is the number of bytes if every text is ASCII. */
	get length(): number {
		return this.#text.length
	}

	/** Adds a record. Returns false and does nothing if the record needs more than a plain row. */
	add(record: LogRecord, dTs: number): boolean {
		const { kind, message, daemonId, nodeId } = record
		if (record.data !== undefined || record.origin !== undefined) return false
		if (!(dTs >= 0 && dTs <= TS_DELTA_MAX) || message === kind || message.length > TEXT_LENGTH_MAX)
			return false
		const level = levelIndex(record.level)
		if (level < 0 || !isShort(daemonId) || !isShort(nodeId)) return false
		const columns = nodeId !== null ? 6 : daemonId !== null ? 5 : 4
		const start = ROW_STARTS[columns]![dTs]
		// The time is not a whole number.
		if (start === undefined) return false
		let middle = LOG_MIDDLES[level]![message.length]!
		if (kind !== DEFAULT_KIND) {
			if (kind.length > TEXT_LENGTH_MAX) return false
			const header = TEXT_HEADERS[message.length]!
			middle = String.fromCharCode(level) + TEXT_HEADERS[kind.length] + kind + header
		}
		let row = start + middle + message
		if (columns > 4) row += daemonId === null ? NIL : TEXT_HEADERS[daemonId.length]! + daemonId
		if (columns > 5) row += this.#nodeText(nodeId!)
		this.#text += row
		// Counts the array's header and one byte for each column except the first two.
		this.#highBytes += columns - 1
		this.records[this.count++] = record
		return true
	}

	/** Returns the encoded node id. It is usually the same as the previous one. */
	#nodeText(nodeId: string): string {
		if (nodeId === this.#nodeId) return this.#nodeIdText
		this.#nodeId = nodeId
		this.#nodeIdText = TEXT_HEADERS[nodeId.length] + nodeId
		return this.#nodeIdText
	}

	/**
	 * Returns whether every text is ASCII, so that each character of the rope is the byte that it stands for.
	 */
	isAscii(): boolean {
		// In UTF-8 each character above 0x7f takes an additional byte. Texts add further ones exactly if they
		// are not ASCII.
		return Buffer.byteLength(this.#text) === this.#text.length + this.#highBytes
	}

	/**
	 * Writes all rows to `target[pos…]`, which must have room for {@link length}. Correct only if
	 * {@link isAscii}.
	 */
	copyTo(target: Buffer, pos: number): void {
		target.write(this.#text, pos, 'latin1')
	}

	/**
	 * Empties the rope. The records stay referenced until others replace them: at most a frame of small
	 * records.
	 */
	clear(): void {
		this.#text = ''
		this.#highBytes = 0
		this.count = 0
	}
}

function isShort(id: LogRecord['nodeId']): id is string | null {
	return id === null || (typeof id === 'string' && id.length <= TEXT_LENGTH_MAX)
}
