/**
 * `npm run test:repeat -- N [--load [K]] [--quick] [file …]`: runs the tests N times and reports each test
 * that ever failed.
 *
 * `--load` keeps K processes busy in the meantime (default: one per core); `--quick` runs the quick tests
 * only. The result of each run is appended to `.test-runs/runs.jsonl`, so that a count can be continued
 * later; N = 0 runs nothing and only reports. Ends with status 1 when a run failed.
 */
import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'

const ROOT = join(import.meta.dirname, '..', '..')
const RUNS = join(ROOT, '.test-runs', 'runs.jsonl')
const USAGE = 'usage: npm run test:repeat -- N [--load [K]] [--quick] [file …]'

/** Occupies one core until it is killed, or until its parent process is gone. */
const BUSY = `
	const parent = process.ppid
	setInterval(() => {
		for (const end = Date.now() + 500; Date.now() < end; );
		if (process.ppid !== parent) process.exit()
	}, 1)
`

const wanted = readArguments(process.argv.slice(2))
mkdirSync(join(ROOT, '.test-runs'), { recursive: true })
let failed = 0
for (let index = 1; index <= wanted.runs; index++) {
	const run = runOnce(wanted)
	appendFileSync(RUNS, `${JSON.stringify(run)}\n`)
	if (run.failures.length > 0) failed++
	console.log(
		`run ${index} of ${wanted.runs}: ${run.passed} passed, ${run.failures.length} failed, ${run.seconds} s`,
	)
	for (const { test, message } of run.failures) console.log(`  ${test}\n    ${message.split('\n')[0]}`)
}
report()
process.exitCode = failed === 0 ? 0 : 1

function readArguments(args) {
	// `--load` may have no number, which parseArgs does not support.
	const at = args.indexOf('--load')
	const load =
		at === -1 ? 0 : /^\d+$/.test(args[at + 1] ?? '') ? Number(args[at + 1]) : availableParallelism()
	if (at !== -1) args.splice(at, /^\d+$/.test(args[at + 1] ?? '') ? 2 : 1)
	try {
		const { values, positionals } = parseArgs({
			args,
			allowPositionals: true,
			options: { quick: { type: 'boolean', default: false } },
		})
		const [runs, ...files] = positionals
		if (!/^\d+$/.test(runs ?? '')) throw new Error(`how many times? ${runs ?? 'nothing'} is no number`)
		return { runs: Number(runs), load, quick: values.quick, files }
	} catch (error) {
		console.error(`${error.message}\n${USAGE}`)
		process.exit(2)
	}
}

/** Returns the part of the output that names the cause: an unhandled error, or the end of the output. */
function causeIn(output) {
	const unhandled = output.indexOf('Unhandled Error')
	return unhandled === -1 ? output.trim().slice(-4000) : output.slice(unhandled, unhandled + 4000)
}

/** @returns the stored result of a run */
function runOnce({ load, quick, files }) {
	const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-repeat-'))
	const busy = Array.from({ length: load }, () => spawn(process.execPath, ['-e', BUSY], { stdio: 'ignore' }))
	const begun = Date.now()
	try {
		const json = join(folder, 'results.json')
		const vitest = join('node_modules', 'vitest', 'vitest.mjs')
		const reporters = [
			'--reporter=default',
			'--reporter=json',
			`--outputFile=${json}`,
			'--reporter=./test/support/closing-line.ts',
		]
		const args = [vitest, 'run', ...reporters, ...(quick ? ['--project', 'quick'] : []), ...files]
		const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
			cwd: ROOT,
			maxBuffer: 1 << 28,
			encoding: 'utf8',
		})
		const { passed, failures } = resultsOf(json)
		if (status !== 0 && failures.length === 0) {
			const message = `vitest ended with ${signal ?? status}: ${causeIn(`${stdout}\n${stderr}`)}`
			failures.push({ test: 'outside of any test', message })
		}
		const seconds = Math.round((Date.now() - begun) / 1000)
		const tests = files.length > 0 ? files.join(' ') : quick ? 'quick' : 'full'
		const at = new Date(begun).toISOString()
		return { at, commit: commit(), node: process.version, tests, load, seconds, passed, failures }
	} finally {
		for (const child of busy) child.kill('SIGKILL')
		rmSync(folder, { recursive: true, force: true })
	}
}

function resultsOf(json) {
	let passed = 0
	const failures = []
	let files = []
	try {
		files = JSON.parse(readFileSync(json, 'utf8')).testResults
	} catch {
		// Vitest ended before it could write its results, so its status decides.
	}
	for (const { name, status, message, assertionResults } of files) {
		const file = relative(ROOT, name)
		const inTests = assertionResults.filter((test) => test.status !== 'passed')
		passed += assertionResults.length - inTests.length
		for (const { fullName, status: state, failureMessages } of inTests)
			failures.push({ test: `${file} > ${fullName}`, message: failureMessages.join('\n') || state })
		if (status === 'failed' && inTests.length === 0) failures.push({ test: file, message })
	}
	return { passed, failures }
}

/** Returns the commit, with a `+` if the work tree differs from it. */
function commit() {
	const git = (...args) => spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout.trim()
	return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+')
}

/** Reports all stored runs, by commit and by files, and each test that failed in one of them. */
function report() {
	const counts = new Map()
	const failures = new Map()
	for (const { commit, tests, load, node, failures: failed } of runsKept()) {
		const beside = load === 0 ? 'alone' : `beside ${load} busy processes`
		const what = `${commit}, ${tests}, Node ${node.slice(1)}, ${beside}`
		const count = counts.get(what) ?? { runs: 0, failed: 0 }
		counts.set(what, { runs: count.runs + 1, failed: count.failed + (failed.length > 0 ? 1 : 0) })
		for (const { test } of failed) failures.set(test, [...(failures.get(test) ?? []), commit])
	}
	console.log('\nruns kept in .test-runs/runs.jsonl:')
	for (const [what, { runs, failed }] of counts) console.log(`  ${what}: ${runs} runs, ${failed} failed`)
	if (failures.size === 0) console.log('no test ever failed')
	else console.log('tests that failed, and at which commits:')
	for (const [test, commits] of failures) console.log(`  ${test}: ${commits.join(' ')}`)
}

function runsKept() {
	try {
		const lines = readFileSync(RUNS, 'utf8').split('\n').filter(Boolean)
		return lines.map((line) => JSON.parse(line))
	} catch {
		return []
	}
}
