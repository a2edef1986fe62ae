/**
 * A consumer that is killed repeatedly while a chain is written. Every record is handled, and few are handled
 * twice.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { says, startModule } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const KILLS = sizeOf('CONSUMER_KILLS')
const SAVE_RECORDS = 200

/** Writes until SIGTERM, then closes the chain after a last record. */
const WRITER = `
	import { FileChainAppender, MeshLoop } from 'mesh-chain'
	const loop = new MeshLoop(new FileChainAppender(process.argv.at(-1), { rotateBytes: 100_000 }))
	let index = 0
	const ticking = setInterval(() => {
		for (let count = 0; count < 20; count++) loop.info('message ' + index++)
	}, 5)
	process.once('SIGTERM', async () => {
		clearInterval(ticking)
		loop.publish({ kind: 'end' })
		await loop.close()
	})
	console.log('open')
`

/** The handler records each handled seq before it returns, so a kill cannot undo it. */
const CONSUMER = `
	import { openSync, writeSync } from 'node:fs'
	import { openChain } from 'mesh-chain'
	import { consume } from 'mesh-chain/consume'
	const [path, handledPath] = process.argv.slice(-2)
	const fd = openSync(handledPath, 'a')
	const chain = await openChain(path)
	const consumer = consume(chain, 'mailer', async ({ epoch, seq, kind }) => {
		await new Promise((resolve) => setImmediate(resolve))
		writeSync(fd, epoch + ' ' + seq + ' ' + kind + '\\n')
		if (kind === 'end') setImmediate(() => consumer.close())
	}, { saveIntervalRecords: ${SAVE_RECORDS}, saveIntervalMs: 600_000 })
	console.log('on')
	await consumer.done
	await chain.close()
`

test(`${KILLS} killed consumers handle every record in order, few of them twice (seed ${SEED})`, async () => {
	const folder = temporaryFolder()
	const path = join(folder, 'node.chain')
	const random = randomFrom(SEED)
	const writer = startModule(WRITER, [path])
	await says(writer, 'open')
	for (let life = 0; life < KILLS; life++) {
		const consumer = startModule(CONSUMER, [path, join(folder, `handled-${life}`)])
		consumer.stderr?.resume()
		const closed = once(consumer, 'close')
		await says(consumer, 'on')
		await sleep(random() * 150)
		consumer.kill('SIGKILL')
		expect(await closed).toEqual([null, 'SIGKILL'])
	}
	const written = once(writer, 'close')
	writer.kill('SIGTERM')
	expect(await written).toEqual([0, null])
	const last = startModule(CONSUMER, [path, join(folder, `handled-${KILLS}`)])
	expect(await once(last, 'close')).toEqual([0, null])

	const expected: string[] = []
	const chain = await openChain(path)
	for await (const { epoch, seq, kind } of chain.records()) expected.push(`${epoch} ${seq} ${kind}`)
	const { segments } = await chain.info()
	await chain.close()
	expect(expected.at(-1)).toBe(`1 ${expected.length} end`)

	let handled = 0
	let repeats = 0
	let most = 0
	let interrupted = 0
	for (let life = 0; life <= KILLS; life++) {
		const lines = readFileSync(join(folder, `handled-${life}`), 'utf8')
			.split('\n')
			.slice(0, -1)
		if (lines.length === 0) continue
		const first = Number(lines[0]!.split(' ')[1])
		// Records after the last saved cursor are repeated, and no later record is skipped.
		const repeated = handled + 1 - first
		expect(repeated, `skipped before life ${life}`).toBeGreaterThanOrEqual(0)
		expect(repeated, `repeated in life ${life}`).toBeLessThanOrEqual(SAVE_RECORDS)
		expect(lines, `life ${life}`).toEqual(expected.slice(first - 1, first - 1 + lines.length))
		if (life < KILLS) interrupted++
		repeats += repeated
		most = Math.max(most, repeated)
		handled = Math.max(handled, first - 1 + lines.length)
	}
	expect(handled).toBe(expected.length)
	expect(
		interrupted,
		'most were killed before they began: the test covered less than intended',
	).toBeGreaterThan(KILLS / 2)
	expect(repeats, 'no kill hit a cursor: the test covered less than intended').toBeGreaterThan(0)
	tellCounts(0, `killed consumers (seed ${SEED})`, {
		kills: KILLS,
		records: handled,
		files: segments.length,
		repeats,
		'most repeats after a kill': most,
		skipped: 0,
	})
}, 600_000)
