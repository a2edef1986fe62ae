import { expect, test } from 'vitest'
import { headText } from '../../src/cli/answer.ts'

test('a head names the records that it covers, even if there are none yet', () => {
	const head = { link: 'ab12' }
	expect(headText({ ...head, seq: 7 })).toBe('ab12 (hash links cover the records up to seq 7)')
	expect(headText({ ...head, seq: 0 })).toMatch(/^none yet: /)
})
