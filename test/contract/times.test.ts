/**
 * Every option for a time refuses a time that no `Date` can hold, at once and with the code of an option, and
 * accepts any other.
 */
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { stateAt } from '../../src/recorder/state-at.ts'
import { Player } from '../../src/replay/player.ts'
import { replay } from '../../src/replay/replay.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

let chain: Chain
const loop = new MeshLoop()
beforeEach(async () => {
	const path = join(temporaryFolder(), 'a.chain')
	const written = new MeshLoop(new FileChainAppender(path))
	written.info('one')
	await written.close()
	chain = await openChain(path)
})
afterEach(() => chain.close())

type Time = number | Date

const TAKERS: Readonly<Record<string, (time: Time) => unknown>> = {
	'since of a chain': (since) => collect(chain.records({ since })),
	'until of a chain': (until) => collect(chain.records({ until })),
	'since of a tail': (since) => chain.tail({ since }),
	'since of a ring': (since) => loop.snapshot({ since }),
	'until of a ring': (until) => loop.snapshot({ until }),
	'since of a replay': (since) => replay(chain, () => {}, { since }),
	'a position of a player': async (time) => {
		const player = new Player(chain, () => {})
		try {
			await player.seek({ tsMs: Number(time) })
		} finally {
			player.stop()
		}
	},
	'a position of a state': (time) =>
		stateAt(chain, { tsMs: Number(time) }, { fold: (count) => count + 1, initial: 0 }),
	'events between': (time) => new Recorder(loop).eventsBetween(0, time),
}

const NO_TIMES = [8.64e15 + 1, -8.64e15 - 1, 1e17, 1.7e18, 1e300, NaN, new Date(NaN)]
const codeOf = async (run: () => unknown) => {
	try {
		await run()
		return undefined
	} catch (error) {
		return (error as { code?: string }).code
	}
}

test.each(Object.entries(TAKERS))('%s', async (name, take) => {
	for (const time of NO_TIMES)
		expect([time, await codeOf(() => take(time))]).toEqual([
			time,
			expect.stringMatching(/^INVALID_(?:FILTER|OPTION)$/),
		])
	// An infinite bound of a span means no bound; an infinite point in time is invalid.
	const isPoint = name.includes('position')
	for (const time of [Infinity, -Infinity])
		expect(await codeOf(() => take(time))).toBe(isPoint ? 'INVALID_OPTION' : undefined)
	await fc.assert(
		fc.asyncProperty(
			fc.oneof(fc.integer({ min: -8.64e15, max: 8.64e15 }), fc.constant(8.64e15)),
			async (time) => {
				expect(await codeOf(() => take(time))).toBeUndefined()
				expect(await codeOf(() => take(new Date(time)))).toBeUndefined()
			},
		),
		{ numRuns: 20 },
	)
})
