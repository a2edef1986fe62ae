/** Programs of the system that a test needs: installed where it may, and otherwise the run fails and says what to type. */
import { spawnSync } from 'node:child_process'

/** @param works a command line that succeeds once the package is there. */
export function requirePackage(name: string, works: readonly [string, ...string[]]): void {
	if (succeeds(works)) return
	if (process.getuid?.() === 0 && succeeds(['apt-get', '--version'])) {
		const install = ['install', '-y', '--no-install-recommends', name]
		if (!succeeds(['apt-get', ...install])) {
			succeeds(['apt-get', 'update'])
			succeeds(['apt-get', ...install])
		}
		if (succeeds(works)) return
	}
	throw new Error(`this test needs ${name}: type \`sudo apt-get update && sudo apt-get install -y ${name}\``)
}

function succeeds([command, ...args]: readonly [string, ...string[]]): boolean {
	const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
	return spawnSync(command, args, { stdio: 'ignore', env }).status === 0
}
