/**
 * `npm run bench`: mesh-chain and its peers, side by side on this machine.
 *
 * Method. Only ratios count: absolute figures do not carry from machine to machine, nor from hour to hour. Each
 * measurement is a process of its own (lib/child.mjs) that warms up, collects garbage and then runs once; the contenders
 * take turns round by round, and a ratio is taken within a round. Five rounds or more; medians, with their spread.
 *
 * A turn is what is published between two immediates. At its end every contender's file survives `kill -9`, and there the
 * clock stops; each contender is first killed at the end of a turn to show it. Closing is timed apart, because mesh-chain and
 * SQLite sync to disk there and pino does not. Each peer runs at its fastest setting that keeps this promise; msgpackr alone
 * keeps none, and is the yardstick of encoding. Afterwards everything is read back, counted and compared, field by field,
 * outside the time.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readArguments, USAGE } from './lib/arguments.mjs'
import { machine, versions } from './lib/machine.mjs'
import { measure } from './lib/measure.mjs'
import { installPeers } from './lib/peers.mjs'
import { markdown } from './lib/report.mjs'
import { sizes, WITHOUT_PEERS, works } from './lib/works.mjs'

const RESULTS = join(import.meta.dirname, 'results')

try {
	process.exitCode = main(process.argv.slice(2))
} catch (error) {
	progress('')
	process.stderr.write(`${error.message}\n`)
	process.exitCode = 1
}

function main(args) {
	let options
	try {
		options = readArguments(args)
	} catch (error) {
		return usageError(error.message)
	}
	if (options.help) {
		process.stdout.write(USAGE)
		return 0
	}
	const wanted = works.filter(({ name }) => name.includes(options.only ?? ''))
	if (wanted.length === 0) {
		return usageError(`no bench has ${options.only} in its name: ${works.map(({ name }) => name).join(', ')}`)
	}
	if (!existsSync(join(import.meta.dirname, '..', 'dist', 'index.js'))) {
		return usageError('dist/ is missing: type `npm run build`')
	}
	return runWorks(wanted, options)
}

function runWorks(wanted, { mode, only }) {
	const chosen = mode === 'smoke' ? wanted.map(withoutPeers) : wanted
	if (mode !== 'smoke') installPeers()
	const results = {
		mode,
		machine: machine(),
		versions: versions(chosen.flatMap(({ contenders }) => contenders.map(({ contender }) => contender))),
		works: chosen.map((work) => measure(work, sizes[mode], progress)),
	}
	progress('')
	const text = markdown(results)
	process.stdout.write(text)
	if (mode === 'smoke' || only !== undefined) return 0
	mkdirSync(RESULTS, { recursive: true })
	writeFileSync(join(RESULTS, `${mode}.json`), `${JSON.stringify(results, undefined, '\t')}\n`)
	writeFileSync(join(RESULTS, `${mode}.md`), text)
	process.stderr.write(`written to bench/results/${mode}.md and ${mode}.json\n`)
	return 0
}

/** Without targets either: so little work says nothing about them. */
function withoutPeers(work) {
	return {
		...work,
		contenders: work.contenders.filter(({ contender }) => WITHOUT_PEERS.includes(contender)),
		ratios: work.ratios.map(({ atLeast, bytesAtMost, ...ratio }) => ratio),
	}
}

/** One line on the terminal, overwritten; nothing where nobody watches. */
function progress(text) {
	if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}

function usageError(message) {
	process.stderr.write(`${message}\n\n${USAGE}`)
	return 2
}
