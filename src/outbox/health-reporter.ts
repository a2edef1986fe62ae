/**
 * Reports the health and losses of one appender. The diagnostics channels receive every event. A warning is
 * emitted once per change of state and once per cause of loss. An appender with a `failure` property emits
 * its own warnings about its health.
 */
import type { LogChainAppender } from '../appender.ts'
import { propertyOf } from '../guard/values.ts'
import type { LogAppendError } from '../model/errors.ts'
import { NAME_LENGTH_MAX } from '../model/limits.ts'
import type { GapCause, GapData } from '../model/record.ts'
import { report, warn } from '../platform/diagnostics.ts'

export class HealthReporter {
	readonly #source: object
	readonly #appender: LogChainAppender
	readonly #saidLost = new Set<GapCause>()
	#saidFailing = false

	/** @param source The loop or parent appender that diagnostics report as their source. */
	constructor(source: object, appender: LogChainAppender) {
		this.#source = source
		this.#appender = appender
	}

	failing(error: LogAppendError): void {
		report('failing', { source: this.#source, error })
		if (propertyOf(this.#appender, 'failure') !== undefined) return
		this.#saidFailing = true
		warn(
			'APPENDER_FAILING',
			`${nameOf(this.#appender)} is failing, and records are pending: ${error.message}`,
		)
	}

	recovered(): void {
		report('recovered', { source: this.#source })
		if (!this.#saidFailing) return
		this.#saidFailing = false
		warn('APPENDER_RECOVERED', `${nameOf(this.#appender)} accepts records again`)
	}

	/** Reports each loss, and emits a warning for the first loss with each cause. */
	lost(gap: GapData, error: LogAppendError | undefined): void {
		const { fromSeq, toSeq, count, cause } = gap
		report('gap', { source: this.#source, gap: { fromSeq, toSeq, count, cause } })
		if (this.#saidLost.has(cause)) return
		this.#saidLost.add(cause)
		const why = error === undefined ? cause : `${cause}, ${error.message}`
		const what =
			count === 1 ? `the record with seq ${fromSeq}` : `${count} records starting at seq ${fromSeq}`
		warn(
			'RECORDS_LOST',
			`${nameOf(this.#appender)} will not receive ${what} (${why}); further losses are only counted`,
		)
	}
}

/** Returns an appender's class name for messages, or `otherwise` if there is none. */
export function nameOf(appender: LogChainAppender, otherwise = 'the appender'): string {
	const name = propertyOf(propertyOf(appender, 'constructor'), 'name')
	return typeof name === 'string' && name !== '' && name !== 'Object'
		? name.slice(0, NAME_LENGTH_MAX)
		: otherwise
}
