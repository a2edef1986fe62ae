/** Opt-in: a signal that would end the process ends it after its loops are closed. */
import { setImmediate } from 'node:timers/promises'
import { MeshChainError, messageOf } from '../errors.ts'
import { warn } from '../report.ts'
import type { MeshLoop } from './mesh-loop.ts'

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * On SIGTERM or SIGINT closes the loops, then lets the signal take its course: unless others listen to it, the process
 * ends by it, with its exit status. Where others listen, ending the process is theirs. A second signal while the loops
 * are closing ends the process at once. Returns the undo.
 *
 * @throws {MeshChainError} `INVALID_OPTION` without a loop.
 */
export function closeOnSignal(...loops: MeshLoop[]): () => void {
	if (loops.length === 0 || loops.some((loop) => typeof loop?.close !== 'function')) {
		throw new MeshChainError('INVALID_OPTION', 'closeOnSignal needs the loops to close')
	}
	let closing = false
	const undo = () => {
		for (const signal of SIGNALS) process.off(signal, onSignal)
	}
	const onSignal = async (signal: NodeJS.Signals) => {
		if (!closing) {
			closing = true
			await closeAll(loops)
			// Node prints a warning in a later tick: the signal must not come first.
			await setImmediate()
		}
		undo()
		if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
	}
	for (const signal of SIGNALS) process.on(signal, onSignal)
	return undo
}

async function closeAll(loops: readonly MeshLoop[]): Promise<void> {
	const results = await Promise.allSettled(loops.map((loop) => loop.close()))
	for (const result of results) {
		if (result.status === 'rejected') {
			warn('CLOSE_FAILED', `a loop did not close cleanly: ${messageOf(result.reason)}`)
		}
	}
}
