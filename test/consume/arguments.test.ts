/** Arguments that a consumer refuses at once, with the error messages. Names and filters: consume.test.ts. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { consume } from '../../src/consume/consume.ts'
import { mergeChains } from '../../src/merge/merge-chains.ts'
import { type Refusal, testRefusals, wrong } from '../support/refusals.ts'
import { temporaryFolder } from '../support/temporary.ts'

const chain = wrong({ path: '/nowhere/a.chain', chainId: '07'.repeat(16), tail() {}, records() {} })
const handle = () => {}

const OPTIONS: readonly (readonly [option: string, value: unknown, message: string])[] = [
	['from', 'now', `from must be 'start' or 'end', not "now"`],
	['retries', '3', 'retries must be a whole number from 0, not "3"'],
	['saveIntervalRecords', 1.5, 'saveIntervalRecords must be a whole number from 1, not 1.5'],
	['saveIntervalMs', 2 ** 31, 'saveIntervalMs must be at most 2147483647, not 2147483648'],
	['pollIntervalMs', 2 ** 31, 'pollIntervalMs must be at most 2147483647, not 2147483648'],
	['durableOnly', 1, 'durableOnly must be true or false, not 1'],
	['cursorPath', '', 'cursorPath must be the path of a file, not ""'],
	['cursorPath', 'a\0b', 'cursorPath must be the path of a file'],
	['fs', {}, 'fs must be a FileSystem, such as nodeFileSystem'],
]

describe('consume', () => {
	testRefusals([
		[
			'without a chain',
			() => consume(wrong(), 'mailer', handle),
			'INVALID_OPTION',
			'a consumer needs a chain, not undefined',
		],
		[
			'of a path',
			() => consume(wrong('a.chain'), 'mailer', handle),
			'INVALID_OPTION',
			'a consumer needs a chain, not the path "a.chain": open it with await openChain(path)',
		],
		[
			'of a promise',
			() => consume(wrong(Promise.resolve(chain)), 'mailer', handle),
			'INVALID_OPTION',
			'needs an await',
		],
		[
			'without a name',
			() => consume(chain, wrong(), handle),
			'INVALID_OPTION',
			'the name of a consumer must be 1 to 64 letters',
		],
		[
			'without a handler',
			() => consume(chain, 'mailer', wrong()),
			'INVALID_OPTION',
			'a handler must be a function, not undefined',
		],
		...OPTIONS.map(
			([option, value, message]): Refusal => [
				`with ${option}: ${String(value)}`,
				() => consume(chain, 'mailer', handle, wrong({ [option]: value })),
				'INVALID_OPTION',
				message,
			],
		),
	])

	test('a merged chain is refused before a file is created', async () => {
		const paths = ['a', 'b'].map((name) => join(temporaryFolder(), `${name}.chain`))
		for (const path of paths) await new FileChainAppender(path).close()
		await using merged = mergeChains(await Promise.all(paths.map((path) => openChain(path))))
		expect(merged.chains?.map(({ path }) => path)).toEqual(paths)
		expect(() => consume(merged, 'mailer', handle)).toThrow(
			expect.objectContaining({
				code: 'INVALID_OPTION',
				message: expect.stringMatching(/a file of its own.*mesh-chain merge … --to/),
			}),
		)
		expect(existsSync(`${merged.path}.mailer.cursor`)).toBe(false)
	})
})
