/** Opt-in: records the exception that ends the process. */
import { shownMessage } from '../codec/web-object.ts'
import { errorNameOf, messageOf } from '../guard/values.ts'
import { coreOf } from './core-of.ts'
import type { MeshLoop } from './mesh-loop.ts'

const CRASH_KIND = '$crash'

/**
 * Publishes an uncaught exception or an unhandled rejection as a `$crash` record before the process ends. The
 * record has the level `error` and the data `{ error, origin }`. This function neither keeps the process
 * alive nor handles the exception. A `FileChainAppender` writes the record immediately.
 *
 * @returns a function that removes the process listeners.
 */
export function recordCrashes(loop: MeshLoop): () => void {
	const record = (error: unknown, origin: string) => {
		coreOf(loop).publishOwn({
			kind: CRASH_KIND,
			level: 'error',
			message: nameAndMessage(error),
			data: { error, origin },
		})
	}
	process.on('uncaughtExceptionMonitor', record)
	return () => {
		process.off('uncaughtExceptionMonitor', record)
	}
}

/**
 * Formats a thrown value, for example as `TypeError: x is not a function`. If the value is not an error, the
 * type of the value replaces the error name.
 */
function nameAndMessage(thrown: unknown): string {
	return `${errorNameOf(thrown)}: ${shownMessage(thrown, messageOf(thrown))}`
}
