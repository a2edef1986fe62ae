/**
 * A `$gap` with an origin is a record like any other: every command gives the same answer for a chain that
 * holds one.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CLOSED, Forge } from '../oracle/format-oracle.mjs'
import { runCommand } from '../support/command.ts'
import { temporaryFolder } from '../support/temporary.ts'

const COMMANDS = [
	['verify'],
	['info'],
	['sessions'],
	['dump'],
	['tail'],
	['export'],
	['replay'],
	['replay', '--dry-run'],
	['repair', '--dry-run'],
] as const

const statusOf = async (args: readonly string[]) => (await runCommand(args)).status

function chainWith(gap: object, fields: object = {}, options: object = {}): string {
	const forge = new Forge(options)
	forge.frame([{ tsMs: 1, level: 2, message: 'before' }])
	forge.frame([{ tsMs: 1, level: 3, kind: '$gap', ...gap }], fields)
	forge.frame([{ tsMs: 1, level: 2, message: 'behind' }])
	forge.anchor(CLOSED)
	const folder = temporaryFolder()
	for (const { name, bytes } of forge.files()) writeFileSync(join(folder, name), bytes)
	return join(folder, 'node.chain')
}

const origin = { chainId: 'ab'.repeat(16), epoch: 1, seq: 9 }

test.each([
	{ fromSeq: 2, toSeq: 9, count: 8, cause: 'evicted' },
	{ fromSeq: 2, toSeq: 9, count: 8, cause: 'damaged' },
	{ fromSeq: 2, toSeq: 9, count: 8, cause: 'retained' },
	'odd',
	null,
	{ cause: 5 },
])('a gap with an origin and the data %j is not a loss', async (data) => {
	const path = chainWith({ origin, data })
	for (const command of COMMANDS) {
		expect([command, await statusOf([...command, path, '--strict'])]).toEqual([command, 0])
	}
})

test('a gap without an origin is a loss', async () => {
	const path = chainWith({ data: { fromSeq: 2, toSeq: 4, count: 3, cause: 'evicted' } }, { baseSeq: 4 })
	for (const command of COMMANDS) {
		expect([command, await statusOf([...command, path])]).toEqual([command, 0])
		expect([command, await statusOf([...command, path, '--strict'])]).toEqual([command, 3])
	}
	// When chains are read as one, each answers for its own gaps.
	const other = chainWith({ origin, data: null }, {}, { id: Buffer.alloc(16, 8) })
	expect(await statusOf(['merge', path, other, '--strict'])).toBe(3)
})
