/**
 * Measures the cost of a change. Two builds of mesh-chain alternate on the same work, because the speed of a
 * machine changes from minute to minute.
 *
 * ```
 * node bench/compare.mjs OTHER_CHECKOUT [--work NAME …] [--record SHAPE …] [--turn N …]
 *                        [--records N] [--seconds N] [--runs N]
 * ```
 *
 * Both checkouts must be built. Options can be repeated. Default: every work with every record, and 1,000, 10
 * and 1 records per turn.
 *
 * To reduce noise, a run consists of two processes that load the builds in opposite order. Each process
 * reports the median of its rounds, and the run takes the geometric mean of both. The verdict is based on the
 * median of three runs. A median above 1.05 is a loss and sets exit status 1.
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { alone } from './lib/alone.mjs'
import { SHAPES } from './lib/lines.mjs'
import { runChild } from './lib/processes.mjs'
import { summary } from './lib/statistics.mjs'

const WORKS = ['append', 'read', 'publish']
const LOSS_ABOVE = 1.05

const USAGE = `usage: node bench/compare.mjs OTHER_CHECKOUT [options]

  --work NAME      ${WORKS.join(', ')}; may be repeated
  --record SHAPE   ${SHAPES.join(', ')}; may be repeated
  --turn N         records published in one turn of the event loop; may be repeated (default: 1000, 10, 1)
  --records N      records per round (default: 10000)
  --seconds N      seconds that each process measures, in at least 5 rounds (default: 3)
  --runs N         number of runs, whose median counts (default: 3)
`

const wanted = readArguments(process.argv.slice(2))
const losses = alone(() => wanted.combinations.filter((combination) => !isFine(combination)))
console.log(
	losses.length === 0
		? 'no loss'
		: `${losses.length} of ${wanted.combinations.length} comparisons are losses`,
)
process.exitCode = losses.length === 0 ? 0 : 1

function isFine(combination) {
	const runs = Array.from({ length: wanted.runs }, () => runOf(combination))
	const median = (figure) => summary(runs.map((run) => run[figure])).median
	const ratio = median('ratio')
	const verdict = ratio > LOSS_ABOVE ? 'LOSS' : 'ok'
	const [ours, other] = ['ours', 'other'].map((side) => `${median(side).toFixed(0)} ns`)
	const each = runs.map((run) => run.ratio.toFixed(3)).join(' ')
	const name = nameOf(combination).padEnd(26)
	console.log(
		`${verdict.padEnd(4)} ${name} ours ${ours}, other ${other}, ratio ${ratio.toFixed(3)} (${each})`,
	)
	return ratio <= LOSS_ABOVE
}

/**
 * The load order affects the speed by a few percent, so each build is loaded first in one of the processes.
 */
function runOf(combination) {
	const { roots, records, seconds } = wanted
	const job = { name: nameOf(combination), ...combination, records, seconds }
	const ahead = runChild('compare', { ...job, roots })
	const behind = runChild('compare', { ...job, roots: roots.toReversed() })
	return {
		ours: mean(ahead.first, behind.second),
		other: mean(ahead.second, behind.first),
		ratio: mean(ahead.ratio, 1 / behind.ratio),
	}
}

/** Geometric mean, so that a ratio and its inverse average to 1. */
function mean(a, b) {
	return Math.sqrt(a * b)
}

function nameOf({ work, record, turn }) {
	return `${work} ${record}, ${turn} per turn`
}

function readArguments(args) {
	try {
		const text = (value) => ({ type: 'string', default: value })
		const list = (value) => ({ type: 'string', multiple: true, default: value })
		const { values, positionals } = parseArgs({
			args,
			allowPositionals: true,
			options: {
				work: list(WORKS),
				record: list(SHAPES),
				turn: list(['1000', '10', '1']),
				records: text('10000'),
				seconds: text('3'),
				runs: text('3'),
			},
		})
		if (positionals.length !== 1) throw new Error('pass exactly one other checkout')
		for (const [name, allowed] of Object.entries({ work: WORKS, record: SHAPES }))
			for (const value of values[name])
				if (!allowed.includes(value)) throw new Error(`--${name}: unknown value ${value}`)
		const number = (name, value) => {
			if (!/^[1-9]\d*$/.test(value))
				throw new Error(`--${name} requires an integer of at least 1, not ${value}`)
			return Number(value)
		}
		const turns = values.turn.map((value) => number('turn', value))
		const [records, runs] = ['records', 'runs'].map((name) => number(name, values[name]))
		const seconds = Number(values.seconds)
		if (!(seconds > 0)) throw new Error(`--seconds requires a number above 0, not ${values.seconds}`)
		const combinations = values.work.flatMap((work) =>
			values.record.flatMap((record) => turns.map((turn) => ({ work, record, turn }))),
		)
		const roots = [resolve(import.meta.dirname, '..'), resolve(positionals[0])]
		return { combinations, roots, records, seconds, runs }
	} catch (error) {
		console.error(`${error.message}\n${USAGE}`)
		process.exit(2)
	}
}
