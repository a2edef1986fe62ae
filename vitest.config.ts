import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const SLOW = ['test/crash/**/*.test.ts', 'test/large/**/*.test.ts', 'test/package/**/*.test.ts']

export default defineConfig({
	test: {
		globalSetup: ['test/support/require-build.ts', 'test/support/system-packages.ts'],
		reporters: ['default', './test/support/closing-line.ts'],
		allowOnly: false,
		// Many tests wait for processes and disks: also on two cores two files at a time pay.
		maxWorkers: Math.max(2, availableParallelism() - 1),
		// A guard against hanging, not a measure: a busy machine may be five times slower.
		testTimeout: 60_000,
		hookTimeout: 60_000,
		// The default of one second is a measure: a busy disk may take longer for one sync.
		expect: { poll: { timeout: 30_000 } },
		projects: [
			{
				extends: true,
				test: { name: 'quick', include: ['test/**/*.test.ts'], exclude: ['**/node_modules/**', ...SLOW] },
			},
			{ extends: true, test: { name: 'full', include: SLOW, testTimeout: 300_000, fileParallelism: false } },
		],
	},
})
