/**
 * Ends a run with one plain line of counts. A test that was skipped did not run, so it counts as failed.
 */
import type { Reporter, TestModule } from 'vitest/node'

export default class ClosingLine implements Reporter {
	onTestRunEnd(modules: readonly TestModule[]): void {
		let passed = 0
		let failed = 0
		for (const module of modules) {
			if (module.state() === 'failed' && module.children.size === 0) failed++
			for (const test of module.children.allTests()) {
				if (test.result().state === 'passed') passed++
				else {
					failed++
					if (test.result().state === 'skipped') {
						process.exitCode = 1
						process.stdout.write(`skipped, and so failed: ${test.fullName}\n`)
					}
				}
			}
		}
		process.stdout.write(`${passed} passed, ${failed} failed\n`)
	}
}
