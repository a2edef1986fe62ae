/**
 * Encodes plain rows quickly. Collects them in one string with one character per byte, so that one native
 * call per frame writes all of them. A separate native call for each short string would be slower. This works
 * only if every string is ASCII, which is checked once for all strings. Otherwise, or if a row is not plain,
 * `row-encoder.ts` encodes byte by byte.
 */
import { LOG_LEVELS, type LogRecord, levelIndex } from '../model/record.ts'
import { DEFAULT_KIND } from './row-columns.ts'

/**
 * Maximum length of a string in a plain row. The header of a longer string would contain a length byte above
 * 0x7f.
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
 * `LOG_MIDDLES[level][message.length]`: the bytes between `dTs` and the message, for a record of the default
 * kind.
 */
const LOG_MIDDLES = LOG_LEVELS.map((_level, index) =>
	TEXT_HEADERS.map((header) => String.fromCharCode(index) + NIL + header),
)

export class RowRope {
	#text = ''
	/**
	 * Number of characters that represent header bytes above 0x7f. If every string is ASCII, no other
	 * characters are above 0x7f.
	 */
	#highBytes = 0
	#nodeId: string | undefined
	#nodeIdText = ''
	/**
	 * The first {@link count} elements are the records in the rope. They are needed if the rows must be encoded
	 * byte by byte.
	 */
	readonly records: LogRecord[] = []
	count = 0

	/** Number of characters, which is the number of bytes if every string is ASCII. */
	get length(): number {
		return this.#text.length
	}

	/** Adds a record. Returns false and does nothing if the record does not fit into a plain row. */
	add(record: LogRecord, dTs: number): boolean {
		const { kind, message, daemonId, nodeId } = record
		if (record.data !== undefined || record.origin !== undefined) return false
		if (!(dTs >= 0 && dTs <= TS_DELTA_MAX) || message.length > TEXT_LENGTH_MAX) return false
		const level = levelIndex(record.level)
		if (level < 0 || !isShort(daemonId) || !isShort(nodeId)) return false
		const columns = nodeId !== null ? 6 : daemonId !== null ? 5 : message === kind ? 3 : 4
		const start = ROW_STARTS[columns]![dTs]
		// `dTs` is not a whole number.
		if (start === undefined) return false
		let middle = LOG_MIDDLES[level]![message.length]!
		let body = message
		if (kind !== DEFAULT_KIND) {
			if (kind.length > TEXT_LENGTH_MAX) return false
			middle = middleOf(level, kind, message, columns)
			// A message that equals the kind is omitted.
			if (message === kind) body = ''
		} else if (message === kind) return false
		let row = start + middle + body
		if (columns > 4) row += daemonId === null ? NIL : TEXT_HEADERS[daemonId.length]! + daemonId
		if (columns > 5) row += this.#nodeText(nodeId!)
		this.#text += row
		// Counts the header of the array, and one byte for each column except the first two.
		this.#highBytes += columns - 1
		this.records[this.count++] = record
		return true
	}

	/** Returns the encoded node id, which is cached because it is usually the same as the previous one. */
	#nodeText(nodeId: string): string {
		if (nodeId === this.#nodeId) return this.#nodeIdText
		this.#nodeId = nodeId
		this.#nodeIdText = TEXT_HEADERS[nodeId.length] + nodeId
		return this.#nodeIdText
	}

	/** Returns whether every string is ASCII. If so, each character of the rope represents one byte. */
	isAscii(): boolean {
		// In UTF-8, each header character above 0x7f takes one additional byte. Strings add more bytes only if
		// they are not ASCII.
		return Buffer.byteLength(this.#text) === this.#text.length + this.#highBytes
	}

	/**
	 * Writes all rows to `target[pos…]`, which must have space for {@link length} bytes. The result is correct
	 * only if {@link isAscii} returns true.
	 */
	copyTo(target: Buffer, pos: number): void {
		target.write(this.#text, pos, 'latin1')
	}

	/**
	 * Empties the rope. The array of records keeps its references, to at most one frame of small records, until
	 * new records replace them.
	 */
	clear(): void {
		this.#text = ''
		this.#highBytes = 0
		this.count = 0
	}
}

/** Returns the bytes between `dTs` and the message, for a record whose kind is not the default. */
function middleOf(level: number, kind: string, message: string, columns: number): string {
	const beginning = String.fromCharCode(level) + TEXT_HEADERS[kind.length] + kind
	if (message !== kind) return beginning + TEXT_HEADERS[message.length]
	return columns > 3 ? beginning + NIL : beginning
}

function isShort(id: LogRecord['nodeId']): id is string | null {
	return id === null || (typeof id === 'string' && id.length <= TEXT_LENGTH_MAX)
}
