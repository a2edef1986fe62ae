/** No bench rots: each runs once, small, without the peers. */
import { expect, test } from 'vitest'
import { ROOT, run } from '../support/process.ts'

test('every bench runs and checks its work', async () => {
	const { status, stdout, stderr } = await run(process.execPath, ['bench/run.mjs', '--smoke'], { cwd: ROOT })
	expect(status, stderr).toBe(0)
	for (const name of ['append/turn=1000', 'append/turn=10/', 'append/turn=1/', 'read/'])
		expect(stdout).toContain(name)
	expect(stdout).toMatch(/\| mesh-chain +\| [\d,]+/)
})

test('an option or a name that does not exist ends with status 2', async () => {
	expect((await run(process.execPath, ['bench/run.mjs', '--fast'])).status).toBe(2)
	expect((await run(process.execPath, ['bench/run.mjs', '--only', 'nothing'])).status).toBe(2)
})
