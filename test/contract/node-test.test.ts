import { expect, test } from 'vitest'
import { run } from '../support/process.ts'

test('the contract suite runs under node:test too, and detects an appender that breaks it', async () => {
	const suite = (appender: string) => `
		import { describe, test } from 'node:test'
		import { BufferingAppender } from 'mesh-chain'
		import { appenderContract } from 'mesh-chain/testing'
		class Forgetful extends BufferingAppender {
			append(record) { if (record.seq % 5 > 0) super.append(record) }
		}
		const readBack = (appender) => appender.captured()
		appenderContract(() => new ${appender}(), { describe, test }, { readBack })
	`
	const good = await run(process.execPath, [
		'--test-reporter=tap',
		'--input-type=module',
		'-e',
		suite('BufferingAppender'),
	])
	expect(good.stdout).toMatch(/# pass 10\n# fail 0\n/)
	const bad = await run(process.execPath, [
		'--test-reporter=tap',
		'--input-type=module',
		'-e',
		suite('Forgetful'),
	])
	expect(bad.status).toBe(1)
	expect(bad.stdout).toMatch(/# fail [1-9]/)
})
