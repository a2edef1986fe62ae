/**
 * Programs of the system that tests run. As root on a Debian system they are installed before the first test, all missing
 * ones in one call of apt; elsewhere each test that needs one fails and says what to type.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** Debian's packages are for Debian's Python; another one may come first on the path. */
export const PYTHON = '/usr/bin/python3'

/** It is no program for everybody's path. */
export const PGBOUNCER = '/usr/sbin/pgbouncer'

/** By package, a command line that succeeds once the package is installed. */
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

/** Vitest calls it once, before it starts any test. */
export default async function installMissing(): Promise<void> {
	const missing = (Object.keys(PACKAGES) as SystemPackage[]).filter((name) => !isInstalled(name))
	if (missing.length === 0 || process.getuid?.() !== 0 || !succeeds(['apt-get', '--version'])) return
	const install = ['-o', `DPkg::Lock::Timeout=${LOCK_WAIT_MS / 1000}`, 'install', '-y']
	const deadline = Date.now() + LOCK_WAIT_MS
	while (!succeeds(['apt-get', ...install, '--no-install-recommends', ...missing])) {
		if (Date.now() > deadline) return
		// The lists may be absent or old; the lock on them, unlike dpkg's, has no time-out of its own.
		succeeds(['apt-get', 'update'])
		await sleep(1000)
	}
}

/** @throws with the command to type when the package is not installed */
export function requirePackage(name: SystemPackage): void {
	if (isInstalled(name)) return
	throw new Error(`this test needs ${name}: type \`sudo apt-get update && sudo apt-get install -y ${name}\``)
}

function isInstalled(name: SystemPackage): boolean {
	return succeeds(PACKAGES[name])
}

function succeeds([command, ...args]: readonly [string, ...string[]]): boolean {
	// At run level 1 no package starts a service of its own.
	const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
	return spawnSync(command, args, { stdio: 'ignore', env }).status === 0
}
