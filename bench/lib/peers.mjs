/** The programs mesh-chain is compared with: installed into bench/ when a run first needs them, as its lock file says. */
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'

const BENCH = join(import.meta.dirname, '..')

/** @throws when the install fails */
export function installPeers() {
	const installedMs = changedMs(join(BENCH, 'node_modules', '.package-lock.json'))
	if (installedMs >= changedMs(join(BENCH, 'package-lock.json'))) return
	process.stderr.write('installing the peers (better-sqlite3 may be compiled: two minutes)\n')
	const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
		cwd: BENCH,
		stdio: ['ignore', 2, 2],
		shell: process.platform === 'win32',
	})
	if (status !== 0)
		throw new Error('the peers cannot be installed: type `cd bench && npm ci`', { cause: error })
}

function changedMs(path) {
	return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
