/**
 * The programs that mesh-chain is compared with. They are installed into bench/ when a run first needs them,
 * in the versions from its lock file.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const BENCH = join(import.meta.dirname, '..')

/** @throws If the installation fails. */
export function installPeers() {
	const { dependencies } = readJson('package.json')
	if (Object.keys(dependencies).every(isInstalled) && loads('better-sqlite3')) return
	process.stderr.write('installing the peers (better-sqlite3 may be compiled: two minutes)\n')
	const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
		cwd: BENCH,
		stdio: ['ignore', 2, 2],
		shell: process.platform === 'win32',
	})
	if (status !== 0)
		throw new Error('the peers cannot be installed: run `cd bench && npm ci`', { cause: error })
}

function isInstalled(name) {
	const path = `node_modules/${name}`
	if (!existsSync(join(BENCH, path))) return false
	return readJson(`${path}/package.json`).version === readJson('package-lock.json').packages[path].version
}

/** Modules compiled for another version of Node must be compiled again. */
function loads(name) {
	const open = `new (require(${JSON.stringify(name)}))(':memory:')`
	return spawnSync(process.execPath, ['-e', open], { cwd: BENCH, stdio: 'ignore' }).status === 0
}

function readJson(path) {
	return JSON.parse(readFileSync(join(BENCH, path), 'utf8'))
}
