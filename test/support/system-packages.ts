/**
 * Installs system programs that tests run. As root on a Debian system, all missing ones are installed before
 * the first test, in one call of apt. Elsewhere, each test that needs a missing program fails and names the
 * command to type.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** Debian's packages belong to Debian's Python, and another Python may be first in the path. */
export const PYTHON = '/usr/bin/python3'

/** This program is outside the usual path. */
export const PGBOUNCER = '/usr/sbin/pgbouncer'

/** Command lines that succeed once the package is installed, by package. */
const PACKAGES = {
	'nats-server': ['nats-server', '--version'],
	'python3-msgpack': [PYTHON, '-c', 'import msgpack'],
	openssl: ['openssl', 'version'],
	zsh: ['zsh', '--version'],
	fish: ['fish', '--version'],
	pgbouncer: [PGBOUNCER, '--version'],
} as const

export type SystemPackage = keyof typeof PACKAGES

/** How long another apt may hold its locks. */
const LOCK_WAIT_MS = 300_000

/** Runs before Vitest starts any test. */
export default async function installMissing(): Promise<void> {
	const missing = (Object.keys(PACKAGES) as SystemPackage[]).filter((name) => !isInstalled(name))
	if (missing.length === 0 || process.getuid?.() !== 0 || !succeeds(['apt-get', '--version'])) return
	const install = ['-o', `DPkg::Lock::Timeout=${LOCK_WAIT_MS / 1000}`, 'install', '-y']
	const deadline = Date.now() + LOCK_WAIT_MS
	while (!succeeds(['apt-get', ...install, '--no-install-recommends', ...missing])) {
		if (Date.now() > deadline) return
		// The lists may be missing or old. Unlike dpkg's, their lock has no timeout.
		succeeds(['apt-get', 'update'])
		await sleep(1000)
	}
}

/** @throws an error with the command to type if the package is not installed */
export function requirePackage(name: SystemPackage): void {
	if (isInstalled(name)) return
	throw new Error(`this test needs ${name}: type \`sudo apt-get update && sudo apt-get install -y ${name}\``)
}

function isInstalled(name: SystemPackage): boolean {
	return succeeds(PACKAGES[name])
}

function succeeds([command, ...args]: readonly [string, ...string[]]): boolean {
	// At run level 1, packages start no services.
	const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
	return spawnSync(command, args, { stdio: 'ignore', env }).status === 0
}
