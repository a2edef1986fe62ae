/**
 * Runs the quick suite on every supported major version of Node: `npm run test:nodes`, or `… -- 22 24` for
 * some of them.
 *
 * The binaries come from the npm packages that `node` depends on, and are stored in node_modules/.cache.
 * Child processes of the tests run on the same version, because they are started with `process.execPath`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')
const majors = process.argv.length > 2 ? process.argv.slice(2) : ['20', '22', '24', '26']
let failed = 0

for (const major of majors) {
	const node = nodeOf(major)
	const version = spawnSync(node, ['--version']).stdout.toString().trim()
	const { status, stdout, stderr } = spawnSync(
		node,
		['node_modules/vitest/vitest.mjs', 'run', '--project', 'quick'],
		{
			cwd: root,
			env: { ...process.env, PATH: `${join(node, '..')}:${process.env.PATH}` },
			maxBuffer: 1 << 28,
		},
	)
	const counts = /^\d+ passed, \d+ failed$/m.exec(stdout.toString())?.[0] ?? 'no counts'
	console.log(`Node ${version}: ${counts}`)
	if (status === 0) continue
	failed++
	process.stdout.write(stdout)
	process.stderr.write(stderr)
}
process.exitCode = failed === 0 ? 0 : 1

/** Returns the binary of a major version, and installs it if it is missing. */
function nodeOf(major) {
	const folder = join(root, 'node_modules', '.cache', `node-${major}`)
	// The package that `node` installs by a script. Installing it directly needs no script.
	const name = `node-${process.platform}-${process.arch}`
	const node = join(folder, 'node_modules', name, 'bin', 'node')
	if (existsSync(node)) return node
	mkdirSync(folder, { recursive: true })
	writeFileSync(join(folder, 'package.json'), '{ "private": true }')
	spawnSync('npm', ['install', '--no-audit', '--no-fund', `${name}@${major}`], {
		cwd: folder,
		stdio: ['ignore', 'ignore', 'inherit'],
	})
	if (existsSync(node)) return node
	throw new Error(`Node ${major} could not be installed; type: cd ${folder} && npm install ${name}@${major}`)
}
