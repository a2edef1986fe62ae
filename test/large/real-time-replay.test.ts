/** A recording replayed in real time and at 10×, with the clock of the machine. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { replay } from '../../src/replay/replay.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { record } from '../support/records.ts'
import { watchStalls } from '../support/stalls.ts'
import { temporaryFolder } from '../support/temporary.ts'

const LATE_MS_MAX = 20
const STEP_MS = 5

test('the last event is within 20 ms of its time, plus stalls of the machine, at both speeds', async () => {
	const seconds = sizeOf('REPLAY_SECONDS')
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	const count = (seconds * 1000) / STEP_MS + 1
	for (let seq = 1; seq <= count; seq++)
		appender.append(record(seq, { tsMs: 1_700_000_000_000 + (seq - 1) * STEP_MS }))
	await appender.close()
	await using chain = await openChain(path)
	for (const speed of [1, 10]) {
		let firstMs: number | undefined
		let lastMs = 0
		const stalls = watchStalls()
		const summary = await replay(
			chain,
			() => {
				lastMs = performance.now()
				firstMs ??= lastMs
			},
			{ speed },
		)
		const stalledMs = stalls()
		const tookMs = lastMs - (firstMs ?? 0)
		tellCounts(0, `replayed at speed ${speed}`, {
			records: summary.replayed,
			'expected duration, ms': (seconds * 1000) / speed,
			'lateness of the last record, ms': (tookMs - (seconds * 1000) / speed).toFixed(1),
			'longest stall of the machine, ms': stalledMs.toFixed(1),
			'maximum lateness, ms': summary.lateMsMax.toFixed(1),
		})
		expect(summary).toMatchObject({ replayed: count, failed: 0, ended: 'end' })
		expect(Math.abs(tookMs - (seconds * 1000) / speed)).toBeLessThanOrEqual(LATE_MS_MAX + stalledMs)
	}
})
