/** The recorded part of a statement contains no secrets, whatever its `redact` function does. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { redactStatement } from '../../src/journal/redact-statement.ts'
import type { StatementData } from '../../src/journal/statement.ts'

beforeEach(() => void vi.spyOn(process, 'emitWarning').mockImplementation(() => {}))
afterEach(() => void vi.restoreAllMocks())

const statement = {
	text: 'select $1, $2',
	params: ['secret', 'other'],
	error: { message: 'no such user: secret' },
} as unknown as StatementData

test.each([
	['throws', () => expect.unreachable('mine')],
	['returns a promise', async () => ['secret', 'other']],
	['returns a text', () => 'secret'],
	['returns null', () => null],
	['returns a list of invalid parameters', () => [5, {}]],
	['returns an empty list', () => []],
])('if redact %s, every parameter and any message that may quote one are left out', (_name, redact) => {
	const kept = redactStatement(statement, { redact, statementBytesMax: 1000 } as never)
	expect(kept).toMatchObject({ params: [null, null], unreplayable: 'redacted' })
	expect(JSON.stringify(kept)).not.toContain('secret')
})

test('without redact, or if it returns undefined, everything is kept', () => {
	for (const redact of [undefined, () => undefined])
		expect(redactStatement(statement, { redact, statementBytesMax: 1000 } as never)).toEqual(statement)
})
