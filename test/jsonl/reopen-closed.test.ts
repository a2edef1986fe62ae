/** A closed JSON Lines file is never silently reopened. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { temporaryFolder } from '../support/temporary.ts'

test('reopen() after close() is refused with a code', async () => {
	const appender = new JsonlAppender(join(temporaryFolder(), 'node.jsonl'))
	appender.reopen()
	await appender.close()
	expect(() => appender.reopen()).toThrow(expect.objectContaining({ code: 'APPENDER_CLOSED' }))
})
