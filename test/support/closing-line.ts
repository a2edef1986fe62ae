/**
 * Ends a run with one plain line of counts. A skipped test counts as failed, unless the run was narrowed by
 * name (`-t`). A failure outside of any test counts once per place.
 */
import type { Reporter, SerializedError, TestModule, Vitest } from 'vitest/node'

export default class ClosingLine implements Reporter {
	#narrowed = false

	onInit(vitest: Vitest): void {
		this.#narrowed = vitest.config.testNamePattern !== undefined
	}

	onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
		let passed = 0
		let failed = unhandled.length
		for (const module of modules) {
			let failedHere = 0
			for (const test of module.children.allTests()) {
				const { state } = test.result()
				if (state === 'passed') passed++
				else if (state !== 'skipped') failedHere++
				else if (!this.#narrowed) {
					failedHere++
					process.exitCode = 1
					process.stdout.write(`skipped, and so failed: ${test.fullName}\n`)
				}
			}
			failed += failedHere === 0 && module.state() === 'failed' ? 1 : failedHere
		}
		process.stdout.write(`${passed} passed, ${failed} failed\n`)
	}
}
