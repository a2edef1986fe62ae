/**
 * `npm run bench`: compares mesh-chain with its peers on this machine.
 *
 * Method. Only ratios count, because absolute figures differ between machines and from hour to hour. Each
 * measurement is a separate process (children/) that warms up, collects garbage and then runs once. The
 * contenders alternate round by round, and a ratio is taken within a round. Results are medians, with their
 * spread.
 *
 * A turn is everything published between two immediates. At the end of a turn, every contender's file
 * survives `kill -9`, and the clock stops. To prove this promise, each contender is first killed at the end
 * of a turn. Closing is timed separately, because mesh-chain and SQLite sync to disk when they close, and
 * pino does not. Each peer uses the fastest setting that keeps the promise. Only msgpackr keeps no promise.
 * It is the baseline for encoding. After the measured time, all records are read back, counted and compared
 * field by field.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { alone } from './lib/alone.mjs'
import { readArguments, USAGE } from './lib/arguments.mjs'
import { machine, versions } from './lib/machine.mjs'
import { installPeers } from './lib/peers.mjs'
import { svg } from './lib/picture.mjs'
import { markdown } from './lib/report.mjs'
import { works } from './works/index.mjs'

const RESULTS = join(import.meta.dirname, 'results')

/** Contenders that need only the dependencies of the library itself. */
const WITHOUT_PEERS = ['mesh-chain', 'msgpackr']

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
	if (options.draw) {
		draw(JSON.parse(readFileSync(join(RESULTS, 'full.json'), 'utf8')))
		return 0
	}
	const wanted = works.filter(({ name }) => name.includes(options.only ?? ''))
	if (wanted.length === 0) {
		return usageError(
			`no bench name contains ${options.only}; the names are ${works.map(({ name }) => name).join(', ')}`,
		)
	}
	if (!existsSync(join(import.meta.dirname, '..', 'dist', 'index.js'))) {
		return usageError('dist/ is missing: run `npm run build`')
	}
	return options.mode === 'smoke' ? runWorks(wanted, options) : alone(() => runWorks(wanted, options))
}

function runWorks(wanted, { mode, only, store }) {
	const smoke = mode === 'smoke'
	if (!smoke) installPeers()
	const takesPart = (contender) => !smoke || WITHOUT_PEERS.includes(contender)
	const contenders = wanted.flatMap((work) => work.contenders.map(({ contender }) => contender))
	const results = {
		mode,
		machine: machine(),
		versions: versions(contenders.filter((name) => name !== 'fsync' && takesPart(name))),
		works: wanted.map((work) => ({ name: work.name, ...runWork(work, { mode, takesPart }) })),
	}
	progress('')
	// A smoke run does too little work to judge the targets.
	const text = markdown(
		smoke ? { ...results, works: results.works.map((work) => ({ ...work, checks: [] })) } : results,
	)
	process.stdout.write(text)
	if (smoke || (only !== undefined && !store)) return 0
	mkdirSync(RESULTS, { recursive: true })
	const file = join(RESULTS, `${mode}.json`)
	const all = store ? merged(JSON.parse(readFileSync(file, 'utf8')), results) : results
	writeFileSync(file, `${JSON.stringify(all, undefined, '\t')}\n`)
	draw(all)
	return 0
}

/**
 * Returns the stored results, updated with the works that were measured again.
 *
 * @throws If the results are from another machine, because one table covers one machine.
 */
function merged(stored, { machine, works: measured }) {
	if (stored.machine.cpu !== machine.cpu || stored.machine.node !== machine.node)
		throw new Error(
			'the stored results are from another processor or Node version: run all benches without --only',
		)
	const byName = new Map([...stored.works, ...measured].map((work) => [work.name, work]))
	return { ...stored, works: works.flatMap(({ name }) => byName.get(name) ?? []) }
}

/** Draws the table and the picture from the figures alone. */
function draw(results) {
	const { mode } = results
	writeFileSync(join(RESULTS, `${mode}.md`), markdown(results))
	writeFileSync(join(RESULTS, `${mode}.svg`), svg(results))
	process.stderr.write(`bench/results/${mode}.md and ${mode}.svg were drawn from ${mode}.json\n`)
}

function runWork(work, size) {
	const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-bench-'))
	try {
		return work.run(size, folder, (text) => progress(`${work.name}: ${text}`))
	} finally {
		rmSync(folder, { recursive: true, force: true })
	}
}

/** Prints one line that is overwritten. Prints nothing if the output is not a terminal. */
function progress(text) {
	if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}

function usageError(message) {
	process.stderr.write(`${message}\n\n${USAGE}`)
	return 2
}
