/**
 * One `exit` listener for the whole process (or worker thread), for any number of loops and chains. Loops run
 * first, so that their pending records reach the appenders; chains run after them and write the records.
 */

type ExitHandler = (exitCode: number) => void

const handlers: { loop: Set<ExitHandler>; chain: Set<ExitHandler> } = { loop: new Set(), chain: new Set() }
let listening = false
let exiting = false

/**
 * Returns whether the process has begun to exit: nothing queued runs any more, so all work must be
 * synchronous.
 */
export function isExiting(): boolean {
	return exiting
}

/** Runs a handler synchronously on every exit that lets code run. Returns a function that removes it. */
export function onExit(phase: 'loop' | 'chain', handler: ExitHandler): () => void {
	if (!listening) {
		process.on('exit', runHandlers)
		listening = true
	}
	handlers[phase].add(handler)
	return () => {
		handlers[phase].delete(handler)
		if (handlers.loop.size + handlers.chain.size > 0 || exiting) return
		process.off('exit', runHandlers)
		listening = false
	}
}

function runHandlers(exitCode: number): void {
	exiting = true
	for (const handler of [...handlers.loop, ...handlers.chain]) {
		try {
			handler(exitCode)
		} catch {
			// A failure of one handler must not stop the others.
		}
	}
}
