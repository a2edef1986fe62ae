/**
 * One `exit` listener per process or worker thread, for any number of loops and chains. Loop handlers run
 * first and pass pending records to the appenders. Chain handlers run afterwards and write the records.
 */
import { processWide } from './process-wide.ts'

type ExitHandler = (exitCode: number) => void

const state = processWide('exit-hook', () => ({
	handlers: { loop: new Set<ExitHandler>(), chain: new Set<ExitHandler>() },
	/** The `exit` listener of the process, if registered. */
	listener: undefined as ((exitCode: number) => void) | undefined,
	isExiting: false,
}))

/**
 * Returns whether the process has started to exit. From then on, queued work no longer runs, so all work must
 * be synchronous.
 */
export function isExiting(): boolean {
	return state.isExiting
}

/**
 * Registers a handler that runs synchronously on every process exit that allows code to run. Returns a
 * function that removes the handler.
 */
export function onExit(phase: 'loop' | 'chain', handler: ExitHandler): () => void {
	if (state.listener === undefined) {
		state.listener = runHandlers
		process.on('exit', runHandlers)
	}
	const { handlers } = state
	handlers[phase].add(handler)
	return () => {
		handlers[phase].delete(handler)
		if (handlers.loop.size + handlers.chain.size > 0 || state.isExiting) return
		if (state.listener !== undefined) process.off('exit', state.listener)
		state.listener = undefined
	}
}

function runHandlers(exitCode: number): void {
	state.isExiting = true
	for (const handler of [...state.handlers.loop, ...state.handlers.chain]) {
		try {
			handler(exitCode)
		} catch {
			// An error in one handler must not prevent the others from running.
		}
	}
}
