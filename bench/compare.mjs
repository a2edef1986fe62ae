/**
 * Two builds of mesh-chain, appending by turns in one process: what a change costs, on a machine whose speed changes from minute to
 * minute.
 *
 *   node bench/compare.mjs OTHER_CHECKOUT [--turn 1000] [--records 20000] [--rounds 60]
 *
 * Both checkouts must be built. A ratio is taken within each round, ours to the other's; above 1 ours is slower.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		turn: { type: 'string', default: '1000' },
		records: { type: 'string', default: '20000' },
		rounds: { type: 'string', default: '60' },
	},
})
if (positionals.length !== 1) {
	console.error('usage: node bench/compare.mjs OTHER_CHECKOUT [--turn N] [--records N] [--rounds N]')
	process.exit(2)
}
const [turn, records, rounds] = [values.turn, values.records, values.rounds].map(Number)
const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-compare-'))
const WARM_UP_ROUNDS = 4

async function contender(name, root) {
	const { FileChainAppender, MeshLoop } = await import(join(root, 'dist', 'index.js'))
	const appender = new FileChainAppender(join(folder, `${name}.chain`))
	return { name, appender, loop: new MeshLoop(appender), nanoseconds: [] }
}

async function round({ appender, loop }) {
	const before = appender.nextSeq
	const begun = process.hrtime.bigint()
	for (let done = 0; done < records; ) {
		for (let index = 0; index < turn && done < records; index++, done++) {
			loop.info('request answered', { method: 'GET', path: '/users/17', status: 200, ms: 12.5 })
		}
		await new Promise((next) => setImmediate(next))
	}
	const nanoseconds = Number(process.hrtime.bigint() - begun) / records
	if (appender.nextSeq !== before + records) throw new Error('records are missing')
	return nanoseconds
}

const quantile = (values, part) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * part)]

const ours = await contender('ours', resolve(import.meta.dirname, '..'))
const other = await contender('other', resolve(positionals[0]))
const ratios = []
try {
	for (let index = -WARM_UP_ROUNDS; index < rounds; index++) {
		const order = index % 2 === 0 ? [ours, other] : [other, ours]
		const taken = new Map()
		for (const each of order) taken.set(each, await round(each))
		if (index < 0) continue
		for (const each of order) each.nanoseconds.push(taken.get(each))
		ratios.push(taken.get(ours) / taken.get(other))
	}
	for (const { name, nanoseconds } of [ours, other]) {
		console.log(`${name.padEnd(6)} ${quantile(nanoseconds, 0.5).toFixed(0)} ns a record (median)`)
	}
	const spread = [0.25, 0.75].map((part) => quantile(ratios, part).toFixed(3)).join(' to ')
	console.log(`ours ÷ other: ${quantile(ratios, 0.5).toFixed(3)} (median; half of the rounds: ${spread})`)
} finally {
	await ours.loop.close()
	await other.loop.close()
	rmSync(folder, { recursive: true, force: true })
}
