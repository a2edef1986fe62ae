/**
 * `npm run test:mutants`: takes one safety after the other away, in a copy of the project, builds it, and asks whether a test fails. A mutant that
 * survives is a safety that nobody would miss.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** Each file of the folder lists mutants of one area: the text in a file, what stands there instead, and the tests that must miss it. */
const FOLDER = join(import.meta.dirname, 'mutants')
const MUTANTS = []
for (const name of readdirSync(FOLDER).toSorted()) MUTANTS.push(...(await import(join(FOLDER, name))).default)

const wanted = process.argv.slice(2)
const copy = mkdtempSync(join(tmpdir(), 'mesh-chain-mutants-'))
let survived = 0
let lastOutput = ''
try {
	const files = spawnSync('git', ['ls-files', '-co', '--exclude-standard'], {
		cwd: ROOT,
		encoding: 'utf8',
	}).stdout
	for (const file of files.split('\n').filter((name) => name !== '' && !name.startsWith('bench/'))) {
		cpSync(join(ROOT, file), join(copy, file), { recursive: true })
	}
	symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
	// Whatever fails must fail because of the mutant.
	const tests = [...new Set(MUTANTS.flatMap((mutant) => mutant.tests))]
	const control = { file: 'package.json', from: '"type": "module"', to: '"type": "module"', tests }
	if (wanted.length === 0 && tryMutant(control) !== 'SURVIVED')
		throw new Error(`these tests fail without any mutant:\n${lastOutput}`)
	for (const mutant of MUTANTS) {
		if (wanted.length > 0 && !wanted.some((word) => mutant.name.includes(word))) continue
		const begun = Date.now()
		const outcome = tryMutant(mutant)
		if (outcome !== 'killed') survived++
		console.log(`${outcome.padEnd(9)} ${mutant.name} (${((Date.now() - begun) / 1000).toFixed(0)} s)`)
	}
} finally {
	rmSync(copy, { recursive: true, force: true })
}
console.log(survived === 0 ? 'every mutant was killed' : `${survived} mutants survived`)
process.exitCode = survived === 0 ? 0 : 1

function tryMutant({ tests, also = [], ...first }) {
	const originals = new Map()
	for (const { file, from, to, prepare = ['', ''] } of [first, ...also]) {
		const path = join(copy, file)
		const text = readFileSync(path, 'utf8')
		if (!originals.has(path)) originals.set(path, text)
		const prepared = text.replace(prepare[0], () => prepare[1])
		if (prepared.split(from).length !== 2) throw new Error(`${file} does not hold exactly once: ${from}`)
		writeFileSync(
			path,
			prepared.replace(from, () => to),
		)
	}
	try {
		const tsup = join('node_modules', 'tsup', 'dist', 'cli-default.js')
		if (spawnSync(process.execPath, [tsup, '--no-dts'], { cwd: copy }).status !== 0) return 'unbuilt'
		const vitest = join('node_modules', 'vitest', 'vitest.mjs')
		const args = [vitest, 'run', '--bail=1', '--testTimeout=60000', ...tests]
		const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: copy, timeout: 600_000 })
		lastOutput = `${stdout}\n${stderr}`.slice(-5000)
		return status === 0 ? 'SURVIVED' : 'killed'
	} finally {
		for (const [path, text] of originals) writeFileSync(path, text)
	}
}
