/**
 * `npm run test:mutants`: removes one safeguard at a time in a copy of the project, builds it, and checks
 * that a test fails. A mutant that survives is a safeguard without a test.
 *
 * npm run test:mutants -- [--area NAME] [part of a mutant's name …]
 *
 * There is one lane per core, each with its own copy. Without arguments, all tests first run without any
 * mutant, and must pass.
 */
import { spawn, spawnSync } from 'node:child_process'
import {
	chmodSync,
	cpSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'

const ROOT = join(import.meta.dirname, '..', '..')
/** A mutant that makes a test hang counts as killed. */
const RUN_MS_MAX = 300_000
/** Without any mutant, all tests run one after another. */
const CONTROL_MS_MAX = 1_800_000

/**
 * Each file of the folder lists mutants of one area: the text in a file, its replacement, and the tests that
 * must fail.
 */
const FOLDER = join(import.meta.dirname, 'mutants')
const AREAS = readdirSync(FOLDER)
	.toSorted()
	.map((name) => name.replace('.mjs', ''))

const { values, positionals: words } = parseArgs({
	allowPositionals: true,
	options: { area: { type: 'string', multiple: true, default: AREAS } },
})
// The runs are not in the group that the terminal interrupts.
process.once('SIGINT', () => process.exit(130))
const mutants = []
for (const area of values.area) mutants.push(...(await import(join(FOLDER, `${area}.mjs`))).default)
const wanted = mutants.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))
const begunMs = Date.now()
const survivors = []
const queue = [...wanted]
const lanes = Array.from({ length: Math.min(availableParallelism(), queue.length) }, copyOfProject)
try {
	if (process.argv.length === 2) await control(lanes[0])
	await Promise.all(lanes.map(work))
} finally {
	for (const lane of lanes) rmSync(lane, { recursive: true, force: true })
}
const minutes = ((Date.now() - begunMs) / 60_000).toFixed(0)
const verdict = survivors.length === 0 ? 'every one was killed' : `survived: ${survivors.join('; ')}`
console.log(`${wanted.length} mutants in ${minutes} minutes, ${verdict}`)
process.exitCode = survivors.length === 0 ? 0 : 1

function copyOfProject() {
	const copy = mkdtempSync(join(tmpdir(), 'mesh-chain-mutants-'))
	// Some tests start programs as another user.
	chmodSync(copy, 0o755)
	const files = spawnSync('git', ['ls-files', '-co', '--exclude-standard'], {
		cwd: ROOT,
		encoding: 'utf8',
	}).stdout
	for (const file of files.split('\n').filter((name) => name !== '' && !name.startsWith('bench/')))
		cpSync(join(ROOT, file), join(copy, file), { recursive: true })
	symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
	return copy
}

/** Every failure must be caused by the mutant. */
async function control(copy) {
	const tests = [...new Set(wanted.flatMap((mutant) => mutant.tests))]
	const { outcome, killer } = await judge(copy, tests, CONTROL_MS_MAX)
	if (outcome !== 'SURVIVED') throw new Error(`without any mutant these tests fail: ${killer}`)
}

async function work(copy) {
	for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
		const begun = Date.now()
		const { outcome, killer = '' } = await tryMutant(copy, mutant)
		if (outcome !== 'killed') survivors.push(mutant.name)
		const seconds = ((Date.now() - begun) / 1000).toFixed(0)
		console.log(
			`${outcome.padEnd(9)} ${mutant.name} (${seconds} s)${killer === '' ? '' : `\n          ${killer}`}`,
		)
	}
}

async function tryMutant(copy, { tests, also = [], ...first }) {
	const originals = new Map()
	for (const { file, from, to, prepare = ['', ''] } of [first, ...also]) {
		const path = join(copy, file)
		const text = readFileSync(path, 'utf8')
		if (!originals.has(path)) originals.set(path, text)
		const prepared = text.replace(prepare[0], () => prepare[1])
		if (prepared.split(from).length !== 2)
			return { outcome: 'ABSENT', killer: `${file} does not hold exactly once: ${from}` }
		writeFileSync(
			path,
			prepared.replace(from, () => to),
		)
	}
	try {
		return await judge(copy, tests)
	} finally {
		for (const [path, text] of originals) writeFileSync(path, text)
	}
}

/** Builds the copy, runs the tests, and returns the first one that failed. */
async function judge(copy, tests, msMax = RUN_MS_MAX) {
	const tsup = join('node_modules', 'tsup', 'dist', 'cli-default.js')
	if ((await ended(copy, [tsup, '--no-dts'])) !== 0) return { outcome: 'unbuilt' }
	const results = join(copy, 'results.json')
	const vitest = join('node_modules', 'vitest', 'vitest.mjs')
	const reporter = ['--reporter=json', `--outputFile=${results}`]
	rmSync(results, { force: true })
	const status = await ended(
		copy,
		[vitest, 'run', '--bail=1', '--testTimeout=60000', ...reporter, ...tests],
		msMax,
	)
	return status === 0 ? { outcome: 'SURVIVED' } : { outcome: 'killed', killer: killerIn(results, copy) }
}

/** Resolves to the status of a run. A run that hangs is killed with its workers, one of which may be busy. */
function ended(cwd, args, msMax = RUN_MS_MAX) {
	return new Promise((resolve) => {
		const child = spawn(process.execPath, args, { cwd, stdio: 'ignore', detached: true })
		const kill = () => process.kill(-child.pid, 'SIGKILL')
		const timer = setTimeout(kill, msMax)
		process.once('exit', kill)
		child.on('exit', (status) => {
			clearTimeout(timer)
			process.off('exit', kill)
			resolve(status)
		})
	})
}

function killerIn(results, copy) {
	try {
		const { testResults } = JSON.parse(readFileSync(results, 'utf8'))
		for (const { name, status, assertionResults } of testResults) {
			const failed = assertionResults.find((test) => test.status === 'failed')
			if (failed !== undefined) return `${relative(copy, name)} > ${failed.fullName}`
			if (status === 'failed') return relative(copy, name)
		}
	} catch {
		// The run ended before it could write its results.
	}
	return 'the run did not end by itself'
}
