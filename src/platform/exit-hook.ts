/**
 * One `exit` listener for the whole process (or worker thread), however many loops and chains it holds. Loops come
 * first, so that what they still hold reaches their appenders; chains come after and write it down.
 */

type ExitHandler = (exitCode: number) => void

const handlers: { loop: Set<ExitHandler>; chain: Set<ExitHandler> } = { loop: new Set(), chain: new Set() }
let listening = false
let exiting = false

/** Whether the process has begun to exit: from here on nothing queued will run, so everything is done at once. */
export function isExiting(): boolean {
	return exiting
}

/** Runs `handler`, synchronously, when the process exits for whatever reason lets code run. Returns the undo. */
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
			// One chain's last failure must not keep the next one from its last words.
		}
	}
}
