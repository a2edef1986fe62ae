/** Safeties of the loop: code of others, the bounds of closing, nesting, and signals. */
export default [
	{
		name: 'loop: a thrown value is asked for its class without a guard',
		file: 'src/foreign.ts',
		from: 'return attempt(() => value instanceof type, false)',
		to: 'return value instanceof type',
		tests: ['test/contract/foreign-code.test.ts'],
	},
	{
		name: 'loop: a thenable that resolves with itself is followed for ever',
		file: 'src/foreign.ts',
		from: 'if (depth < THENABLE_DEPTH_MAX)',
		to: 'if (depth < Number.POSITIVE_INFINITY)',
		tests: ['test/contract/foreign-code.test.ts'],
	},
	{
		name: 'loop: closing waits for a hanging append without a bound',
		file: 'src/appenders/handover.ts',
		from: 'if (answers === this.#answers) return false',
		to: 'if (answers !== this.#answers) return false',
		tests: ['test/process/signals.test.ts'],
	},
	{
		name: 'loop: nesting has a bound of its own, whatever the option says',
		file: 'src/loop/delivery.ts',
		from: 'if (depth > nestedDepthMax) this.#cut',
		to: 'if (depth > Math.min(32, nestedDepthMax)) this.#cut',
		tests: ['test/loop/delivery.test.ts'],
	},
	{
		name: 'loop: a signal closes the loops while other listeners drain',
		file: 'src/loop/close-on-signal.ts',
		from: '} else if (othersListen(signal)) {',
		to: '} else if (othersListen(signal) && drainTimeoutMs === 0) {',
		tests: ['test/process/signals.test.ts'],
	},
	{
		name: 'loop: the clock of a chain is believed',
		file: 'src/foreign.ts',
		from: 'if (isTime(tsMs)) return Math.max(0, tsMs)',
		to: 'if (isTime(tsMs) || tsMs !== undefined) return tsMs as number',
		tests: ['test/loop/hooks.test.ts'],
	},
]
