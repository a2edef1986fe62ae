/**
 * Computes and parses the `Mesh-Chain-Sums` header. Each message carries sums over all messages of its chain
 * up to and including itself. A reader can therefore compute totals without reading every message.
 */
import { FLAG_CONTROL, type Frame, rowBlockOf, rowsOf } from '../chain/index.ts'
import { sumRows } from '../codec/row-decoder.ts'
import {
	isGap,
	isGapCause,
	isRecordTime,
	isSeq,
	LOG_LEVELS,
	type LogRecord,
	levelIndex,
} from '../model/record.ts'

/** Sums over the messages of a chain, encoded as JSON in the header. */
export interface Sums {
	/** Number of records, not counting gaps. */
	readonly records: number
	/** Number of records by level, in the order of `LOG_LEVELS`. */
	readonly levels: readonly number[]
	/** Earliest `tsMs` of any record; null if `records` is 0. */
	readonly minTsMs: number | null
	/** Latest `tsMs` of any record; null if `records` is 0. */
	readonly maxTsMs: number | null
	/** Number of `$gap` records. */
	readonly gaps: number
	/** Number of absent records that these gaps represent, by cause. */
	readonly absent: Readonly<Record<string, number>>
	/** Total size of the message bodies, in bytes. */
	readonly bytes: number
}

/** Name of the header. */
export const SUMS_HEADER = 'Mesh-Chain-Sums'

/** Sums of a chain without messages. */
export const NO_SUMS: Sums = {
	records: 0,
	levels: LOG_LEVELS.map(() => 0),
	minTsMs: null,
	maxTsMs: null,
	gaps: 0,
	absent: {},
	bytes: 0,
}

/** Parses the header; returns undefined if it is missing or was not written by mesh-chain. */
export function parseSums(header: string | undefined): Sums | undefined {
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

/** Returns the sums of one frame. @throws {RangeError} If the rows of the frame are not records. */
export function sumsOfFrame(frame: Frame): Sums {
	if ((frame.flags & FLAG_CONTROL) !== 0) {
		const records = rowsOf(frame)
		if (records === undefined) throw new RangeError('the rows of the frame are not records')
		return sumsOfRecords(records, frame.length)
	}
	const { levels, minTsMs, maxTsMs } = sumRows(rowBlockOf(frame))
	return { ...NO_SUMS, records: frame.rows, levels, minTsMs, maxTsMs, bytes: frame.length }
}

/** Returns the combined sums of two non-overlapping parts of a chain. */
export function addSums(a: Sums, b: Sums): Sums {
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

/** Returns the sums of the records in a frame of `bytes` bytes. */
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
