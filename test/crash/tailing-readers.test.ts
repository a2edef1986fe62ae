/**
 * RELIABILITY, row 12: eight processes follow a chain whose writer rotates, is killed and restarted. Each
 * sees every record of the chain once and in order.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { startModule } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const READERS = 8
/** Number of runs of the writer. Each run except the last ends by SIGKILL. */
const LIVES = 4
const LIFE_MS = (sizeOf('TAIL_SECONDS') * 1000) / LIVES

const WRITER = `
	import { FileChainAppender, MeshLoop } from 'mesh-chain'
	const [, path, isLast, lifeMs] = process.argv
	const loop = new MeshLoop(new FileChainAppender(path, { rotateBytes: 200_000 }))
	console.log('open')
	let index = 0
	const ticking = setInterval(() => {
		for (let count = 0; count < 40; count++) loop.info('message ' + index++, { at: index })
	}, 5)
	if (isLast === 'true') setTimeout(async () => {
		clearInterval(ticking)
		loop.publish({ kind: 'end' })
		await loop.close()
	}, Number(lifeMs))
`

const READER = `
	import { createHash } from 'node:crypto'
	import { openChain } from 'mesh-chain'
	const [, path] = process.argv
	const chain = await openChain(path)
	console.log('open')
	const hash = createHash('sha256')
	let records = 0, gaps = 0, lastSeq = 0, doubles = 0
	for await (const { seq, epoch, kind, message } of chain.tail()) {
		if (kind === '$gap') gaps++
		if (seq <= lastSeq) doubles++
		lastSeq = seq
		records++
		hash.update([epoch, seq, message].join() + '\\n')
		if (kind === 'end') break
	}
	await chain.close()
	console.log(JSON.stringify({ records, gaps, doubles, hash: hash.digest('hex') }))
`

test('eight tailing readers see every record of a killed and restarted writer once', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	let writer = startModule(WRITER, [path, 'false'])
	await once(writer.stdout!, 'data')
	const readers = Array.from({ length: READERS }, () => {
		const child = startModule(READER, [path])
		let text = ''
		child.stdout!.on('data', (piece) => {
			text += String(piece)
		})
		child.stderr!.on('data', (piece) => {
			text += String(piece)
		})
		return once(child, 'close').then(([status]) => ({ status: status as number, text }))
	})
	for (let life = 1; life < LIVES; life++) {
		await new Promise((resolve) => setTimeout(resolve, LIFE_MS))
		const killed = once(writer, 'close')
		writer.kill('SIGKILL')
		await killed
		writer = startModule(WRITER, [path, String(life === LIVES - 1), String(LIFE_MS)])
	}
	await once(writer, 'close')
	const seen = await Promise.all(readers)

	const hash = createHash('sha256')
	let records = 0
	const chain = await openChain(path)
	for await (const { seq, epoch, message } of chain.records()) {
		records++
		hash.update(`${[epoch, seq, message].join()}\n`)
	}
	const { epochs, segments } = await chain.info()
	expect(epochs).toHaveLength(LIVES)
	expect(segments.length).toBeGreaterThan(5)
	await chain.close()
	const expected = { records, gaps: 0, doubles: 0, hash: hash.digest('hex') }
	for (const { status, text } of seen) {
		expect(status, text).toBe(0)
		expect(JSON.parse(text.trim().split('\n').at(-1) ?? '')).toEqual(expected)
	}
	const counts = { readers: READERS, records, files: segments.length, 'writer runs': LIVES }
	tellCounts(12, 'tailing readers', { ...counts, gaps: 0, duplicates: 0 })
})
