/**
 * `npm run test:ecosystem`: packs mesh-chain, installs the tarball next to third-party packages, and runs the
 * tests of this folder. Needs a registry. `npm test` has a smaller test of each kind.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const HERE = import.meta.dirname
const ROOT = join(HERE, '..', '..')
const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-ecosystem-'))

function must(command, args, cwd) {
	const { status, stdout } = spawnSync(command, args, {
		cwd,
		encoding: 'utf8',
		stdio: ['ignore', 'pipe', 'inherit'],
	})
	if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}`)
	return stdout
}

try {
	const packed = JSON.parse(
		must('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], ROOT),
	)
	const [{ filename }] = Array.isArray(packed) ? packed : Object.values(packed)
	must('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], HERE)
	must(
		'npm',
		['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', join(folder, filename)],
		HERE,
	)
	const { status } = spawnSync(process.execPath, ['--test', 'ecosystem.test.mjs'], {
		cwd: HERE,
		stdio: 'inherit',
	})
	process.exitCode = status ?? 1
} finally {
	rmSync(folder, { recursive: true, force: true })
}
