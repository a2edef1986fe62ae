/**
 * Alternates two builds of mesh-chain on one work in one process, so that both run under the same conditions.
 * Prints one line of JSON: the nanoseconds per record for each build, and the median of the ratios within
 * each round.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { lines } from '../lib/lines.mjs'
import { summary } from '../lib/statistics.mjs'

const WARM_UP_ROUNDS = 4
const ROUNDS_MIN = 5

const { roots, work, record, turn, records, seconds } = JSON.parse(process.argv[2])
const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-compare-'))
const given = lines(record, records)

/** Sets up one build for each work. `round` does the work and checks the result. */
const WORKS = {
	async append({ FileChainAppender, MeshLoop }, path) {
		const appender = new FileChainAppender(path)
		const loop = new MeshLoop(appender)
		const round = async () => {
			const before = appender.nextSeq
			await publishAll(loop)
			if (appender.nextSeq !== before + records) throw new Error('records are missing')
		}
		return { round, end: () => loop.close() }
	},
	async publish({ MeshLoop }) {
		const loop = new MeshLoop()
		const round = async () => {
			const before = loop.stats().published
			await publishAll(loop)
			if (loop.stats().published !== before + records) throw new Error('records are missing')
		}
		return { round, end: () => loop.close() }
	},
	async read({ FileChainAppender, MeshLoop, openChain }, path) {
		const loop = new MeshLoop(new FileChainAppender(path))
		await publishAll(loop)
		await loop.close()
		const round = async () => {
			const chain = await openChain(path)
			let read = 0
			let withData = 0
			for await (const batch of chain.batches()) {
				for (const { message, data } of batch) {
					if (message.length > 0) read++
					if (data !== undefined) withData++
				}
			}
			await chain.close()
			if (read !== records || withData !== (record === 'plain' ? 0 : records))
				throw new Error('records are missing')
		}
		return { round, end: async () => {} }
	},
}

async function publishAll(loop) {
	for (let done = 0; done < records; ) {
		for (let left = turn; left > 0 && done < records; left--) loop.publish(given[done++])
		await new Promise((next) => setImmediate(next))
	}
}

async function contender(root, index) {
	const build = await import(pathToFileURL(join(root, 'dist', 'index.js')))
	return { ...(await WORKS[work](build, join(folder, `${index}.chain`))), nanoseconds: [] }
}

async function timed({ round }) {
	globalThis.gc()
	const begun = process.hrtime.bigint()
	await round()
	return Number(process.hrtime.bigint() - begun) / records
}

try {
	const [first, second] = [await contender(roots[0], 0), await contender(roots[1], 1)]
	const ratios = []
	let untilMs = Number.POSITIVE_INFINITY
	for (let index = -WARM_UP_ROUNDS; index < ROUNDS_MIN || performance.now() < untilMs; index++) {
		if (index === 0) untilMs = performance.now() + 1000 * seconds
		const taken = new Map()
		for (const each of index % 2 === 0 ? [first, second] : [second, first]) taken.set(each, await timed(each))
		if (index < 0) continue
		for (const [each, nanoseconds] of taken) each.nanoseconds.push(nanoseconds)
		ratios.push(taken.get(first) / taken.get(second))
	}
	for (const { end } of [first, second]) await end()
	const median = (figures) => summary(figures).median
	process.stdout.write(
		JSON.stringify({
			first: median(first.nanoseconds),
			second: median(second.nanoseconds),
			ratio: median(ratios),
		}),
	)
} finally {
	rmSync(folder, { recursive: true, force: true })
}
