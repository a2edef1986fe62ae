/** Appenders that follow a test's script: refuse, reject, wait. */
import type { LogChainAppender } from '../../src/appender.ts'
import { LogAppendError } from '../../src/model/errors.ts'
import { isGap, type LogRecord } from '../../src/model/record.ts'

export const RETRYABLE = () => new LogAppendError('disk full')
export const POISON = () => new LogAppendError('poison', { retryable: false })

/** Takes every record unless `verdict` throws. */
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

	/** Refuses the records with these seqs for good, but takes their gaps. */
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

	/** Settles the oldest waiting call, and lets all its handlers run. */
	async resolve(): Promise<void> {
		this.calls.shift()?.resolve()
		await settled()
	}

	async reject(error: unknown = RETRYABLE()): Promise<void> {
		this.calls.shift()?.reject(error)
		await settled()
	}

	/** The arguments of every waiting call. */
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

/** Formats a record as `7`, a gap as `gap 3-5 evicted`. */
export function labels(records: readonly LogRecord[]): string[] {
	return records.map((record) => {
		if (!isGap(record)) return String(record.seq)
		const { fromSeq, toSeq, count, cause } = record.data!
		if (count !== toSeq - fromSeq + 1) throw new Error(`gap ${fromSeq}-${toSeq} counts ${count}`)
		return `gap ${fromSeq}-${toSeq} ${cause}`
	})
}
