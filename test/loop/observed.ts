/** Captures the warnings and reports of a loop for a test. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { onTestFinished, vi } from 'vitest'

/** Returns the codes of the process warnings from now on, until the test ends. */
export function warnings(): string[] {
	const codes: string[] = []
	const spy = vi.spyOn(process, 'emitWarning').mockImplementation(((
		_text: unknown,
		options: { code: string },
	) => {
		codes.push(options.code.replace('MESH_CHAIN_', ''))
	}) as never)
	onTestFinished(() => spy.mockRestore())
	return codes
}

/** Returns what is published on a channel of mesh-chain from now on, until the test ends. */
export function reports<T = Record<string, unknown>>(channel: string): T[] {
	const messages: T[] = []
	const listen = (message: unknown) => void messages.push(message as T)
	subscribe(`mesh-chain:${channel}`, listen)
	onTestFinished(() => void unsubscribe(`mesh-chain:${channel}`, listen))
	return messages
}
