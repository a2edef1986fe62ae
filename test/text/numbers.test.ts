import { expect, test } from 'vitest'
import { bytes, count, counted } from '../../src/text/numbers.ts'

test('a number and its noun agree', () => {
	expect([0, 1, 2, 2000].map((value) => counted(value, 'record'))).toEqual([
		'0 records',
		'1 record',
		'2 records',
		'2,000 records',
	])
	expect([1, 2].map((value) => counted(value, 'record is', 'records are'))).toEqual([
		'1 record is',
		'2 records are',
	])
	expect(count(1234567)).toBe('1,234,567')
})

test('a size is shown rounded and exact', () => {
	expect([0, 1, 1023, 1536, 3 * 2 ** 40].map(bytes)).toEqual([
		'0 bytes',
		'1 byte',
		'1,023 bytes',
		'1.5 KiB (1,536 bytes)',
		'3.0 TiB (3,298,534,883,328 bytes)',
	])
})
