/** Opt-in: the last words of a process that dies of an uncaught exception. */
import { errorNameOf, messageOf } from '../guard/values.ts'
import { coreOf } from './core-of.ts'
import type { MeshLoop } from './mesh-loop.ts'

/** The kind of a record that tells of an uncaught exception. */
const CRASH_KIND = '$crash'

/**
 * Publishes an uncaught exception, or a rejection nobody handles, as a `$crash` record at `error`, with
 * `{ error, origin }` as data, before the process dies of it. Does not keep the process alive, nor take the exception
 * from anybody. A `FileChainAppender` writes such a record at once. Returns the undo.
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

/** `TypeError: x is not a function`; for a thrown value that is no error, its type in place of the name. */
function nameAndMessage(thrown: unknown): string {
	return `${errorNameOf(thrown)}: ${messageOf(thrown)}`
}
