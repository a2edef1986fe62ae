/** Collects the process warnings of a test, or keeps them out of its output. */
import { onTestFinished, vi } from 'vitest'

interface HeardWarning {
	readonly code: string
	readonly message: string
}

/** Collects the warnings until the test ends. Warnings arrive one tick after they were emitted. */
export function heardWarnings(): readonly HeardWarning[] {
	const heard: HeardWarning[] = []
	const listen = (warning: Error & { code?: string }) =>
		void heard.push({ code: String(warning.code), message: warning.message })
	process.on('warning', listen)
	onTestFinished(() => void process.off('warning', listen))
	return heard
}

/** Keeps warnings out of the output until mocks are restored: `beforeAll(silenceWarnings)`. */
export function silenceWarnings(): void {
	vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
}
