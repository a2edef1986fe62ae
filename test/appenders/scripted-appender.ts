/** Appenders that do as a test says: refuse, reject, wait. */
import type { LogChainAppender } from '../../src/appender.ts'
import { LogAppendError } from '../../src/model/errors.ts'
import { isGap, type LogRecord } from '../../src/model/record.ts'

export const RETRYABLE = () => new LogAppendError('disk full')
export const POISON = () => new LogAppendError('poison', { retryable: false })

/** Takes what it is given unless `verdict` throws. */
export class ScriptedAppender implements LogChainAppender {
	readonly taken: LogRecord[] = []
	calls = 0
	verdict: (record: LogRecord) => void = () => {}

	append(record: LogRecord): void {
		this.calls += 1
		this.verdict(record)
		this.taken.push(record)
	}

	fail(error: () => unknown = RETRYABLE): void {
		this.verdict = () => {
			throw error()
		}
	}

	/** Refuses the records of these seqs for good, but takes their gaps. */
	poison(...seqs: number[]): void {
		this.verdict = (record) => {
			if (seqs.includes(record.seq) && !isGap(record)) throw POISON()
		}
	}

	heal(): void {
		this.verdict = () => {}
	}
}

interface Call {
	readonly records: readonly LogRecord[]
	readonly resolve: () => void
	readonly reject: (error: unknown) => void
}

/** Each append waits until the test settles it. */
export class ManualAppender implements LogChainAppender {
	readonly calls: Call[] = []
	readonly inFlightMax: number

	constructor(inFlightMax = 1) {
		this.inFlightMax = inFlightMax
	}

	append(record: LogRecord): Promise<void> {
		return this.#begin([record])
	}

	appendBatch(records: readonly LogRecord[]): Promise<void> {
		return this.#begin(records)
	}

	/** Settles the oldest call that waits, and lets everybody act on it. */
	async resolve(): Promise<void> {
		this.calls.shift()?.resolve()
		await settled()
	}

	async reject(error: unknown = RETRYABLE()): Promise<void> {
		this.calls.shift()?.reject(error)
		await settled()
	}

	/** What every waiting call was given. */
	get waiting(): string[] {
		return this.calls.map(({ records }) => labels(records).join('+'))
	}

	#begin(records: readonly LogRecord[]): Promise<void> {
		return new Promise((resolve, reject) => {
			this.calls.push({ records, resolve, reject })
		})
	}
}

/** Lets every promise that can settle do so. */
export async function settled(): Promise<void> {
	await new Promise<void>((resolve) => setImmediate(resolve))
}

/** `7` for a record, `gap 3-5 evicted` for a gap. */
export function labels(records: readonly LogRecord[]): string[] {
	return records.map((record) => {
		if (!isGap(record)) return String(record.seq)
		const { fromSeq, toSeq, count, cause } = record.data!
		if (count !== toSeq - fromSeq + 1) throw new Error(`gap ${fromSeq}-${toSeq} counts ${count}`)
		return `gap ${fromSeq}-${toSeq} ${cause}`
	})
}
