/** RELIABILITY on a small scale: a writer under load is killed repeatedly on one chain. */
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { startModule } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const ROUNDS = sizeOf('KILLS')

/**
 * Publishes turn after turn. A later immediate acknowledges on stdout what the guarantee of `os` covers at
 * that point; every third turn uses `flush()` instead. Large records make long writes, so that kills tear
 * them.
 */
const WRITER = `
	import { writeSync } from 'node:fs'
	import { FileChainAppender, MeshLoop } from 'mesh-chain'
	const appender = new FileChainAppender(process.argv.at(-2), { rotateBytes: 8_000_000 })
	const loop = new MeshLoop(appender, { nodeId: 'writer' })
	const isLarge = process.argv.at(-1) === 'large'
	let turns = 0
	function turn() {
		const count = isLarge ? 3 : 1 + (turns * 7919) % 900
		let seq
		for (let index = 0; index < count; index++) {
			const text = 'x'.repeat(isLarge ? 200_000 : index % 300)
			seq = loop.info('record of turn ' + turns + ' ' + text).seq
		}
		turns++
		if (turns % 3 === 0) {
			loop.flush()
			writeSync(1, seq + '\\n')
			setImmediate(turn)
		} else {
			setImmediate(() => {
				writeSync(1, seq + '\\n')
				turn()
			})
		}
	}
	turn()
`

test(`${ROUNDS} SIGKILLs under load lose no record within the guarantee of os (seed ${SEED})`, async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const random = randomFrom(SEED)
	const acknowledged: number[] = []
	let tornTails = 0
	// A kill seldom hits a write: continue until one does, or until it becomes unlikely.
	for (let round = 0; round < ROUNDS || (tornTails === 0 && round < 4 * ROUNDS); round++) {
		const child = startModule(WRITER, [path, round % 2 === 0 ? 'small' : 'large'])
		let output = ''
		child.stdout?.on('data', (piece: Buffer) => {
			output += piece
		})
		child.stderr?.resume()
		if (child.stdout) await once(child.stdout, 'data')
		await sleep(random() * 40)
		const closed = once(child, 'close')
		child.kill('SIGKILL')
		await closed
		// The last line may be cut short: only whole lines count as acknowledged.
		const last = Number(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1))
		expect(last).toBeGreaterThan(0)
		acknowledged.push(last)
		const chain = await openChain(path)
		const { tornBytes, damagedBytes, state } = await chain.end()
		const [newest] = await collect(chain.records({ reverse: true, limit: 1 }))
		await chain.close()
		if (tornBytes > 0) tornTails++
		expect({ damagedBytes, state }).toEqual({ damagedBytes: 0, state: 'crashed' })
		expect(newest?.seq, `round ${round}`).toBeGreaterThanOrEqual(last)
	}
	const chain = await openChain(path)
	let expected = 1
	for await (const batch of chain.batches()) for (const { seq } of batch) expect(seq).toBe(expected++)
	await chain.close()
	for (const seq of acknowledged) expect(seq).toBeLessThan(expected)
	expect(await verifyChain(path)).toMatchObject({ ok: true, records: expected - 1 })
	expect(tornTails, 'no kill tore a write: the test covered less than intended').toBeGreaterThan(0)
	const counts = { kills: acknowledged.length, 'torn tails': tornTails, records: expected - 1 }
	tellCounts(1, `SIGKILL at random moments (seed ${SEED})`, { ...counts, 'acknowledged and lost': 0 })
})
