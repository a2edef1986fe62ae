/** Safeguards that keep a replay moving, and a player at its position. */
export default [
	{
		name: 'replay: after a step back of less than an hour nothing is paced',
		file: 'src/replay/pacer.ts',
		from: 'if (leftOutMs === 0) return\n',
		to: 'if (isSmallStepBack || leftOutMs === 0) return\n',
		tests: ['test/replay/wild-times.test.ts'],
	},
	{
		name: 'replay: a failing key is attributed to the source',
		file: 'src/replay/replay.ts',
		from: 'const isKey = isInstance(error, KeyFailure)',
		to: 'const isKey = isInstance(error, KeyFailure) && error.cause === this',
		tests: ['test/contract/foreign-code.test.ts'],
	},
	{
		name: 'replay: a replay waits for a wild time',
		file: 'src/replay/pacer.ts',
		from: 'return distanceMs >= CLOCK_JUMP_MS ? 0 : Math.max(0, distanceMs)',
		to: 'return Math.max(0, distanceMs)',
		tests: ['test/replay/wild-times.test.ts'],
	},
	{
		name: 'replay: after one wild time nothing is paced',
		file: 'src/replay/pacer.ts',
		from: 'this.#returnTo(tsMs)\n',
		to: '',
		tests: ['test/replay/wild-times.test.ts'],
	},
	{
		name: 'replay: a player plays beyond the position',
		file: 'src/replay/player.ts',
		from: '} else if (isBeyond(record, this.#until)) await',
		to: '} else if (place < 0) await',
		tests: ['test/replay/player-model.test.ts'],
	},
	{
		name: 'replay: the limit of a player is not reset by a seek',
		file: 'src/replay/player.ts',
		from: '\t\tthis.#taken = 0\n\t\tthis.#visit++',
		to: '\t\tthis.#visit++',
		tests: ['test/replay/player-model.test.ts'],
	},
]
