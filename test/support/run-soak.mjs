/**
 * `npm run test:soak`: the tests whose sizes `npm test` keeps small, at full size. Every size can be set by its variable, and a failure names
 * the seed to repeat it with.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const SIZES = {
	MESH_CHAIN_LARGE_MIB: '1024',
	MESH_CHAIN_QUERIES: '100000',
	MESH_CHAIN_KILLS: '500',
}
const FILES = ['test/crash', 'test/chain/query-oracle.test.ts']

const env = { ...SIZES, ...process.env }
for (const name of Object.keys(SIZES)) console.log(`${name}=${env[name]}`)
const { status } = spawnSync(
	process.execPath,
	[join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--testTimeout=7200000', ...FILES],
	{ cwd: join(import.meta.dirname, '..', '..'), env, stdio: 'inherit' },
)
process.exitCode = status ?? 1
