/**
 * One `exit` listener for the whole process (or worker thread), however many loops and chains it holds. Loops come
 * first, so that what they still hold reaches their appenders; chains come after and write it down.
 */

import { processWide } from './process-wide.ts'

type ExitHandler = (exitCode: number) => void

const state = processWide('exit-hook', () => ({
	handlers: { loop: new Set<ExitHandler>(), chain: new Set<ExitHandler>() },
	/** The listener of the process, while there is one. */
	listener: undefined as ((exitCode: number) => void) | undefined,
	isExiting: false,
}))

/** Whether the process has begun to exit: from here on nothing queued will run, so everything is done at once. */
export function isExiting(): boolean {
	return state.isExiting
}

/** Runs `handler`, synchronously, when the process exits for whatever reason lets code run. Returns the undo. */
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
			// One chain's last failure must not keep the next one from its last words.
		}
	}
}
