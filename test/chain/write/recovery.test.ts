import { describe, expect, test } from 'vitest'
import {
	ACTIONS,
	actionFor,
	type Evidence,
	rowsFor,
	type Situation,
	VERDICTS,
	verdictOf,
} from '../../../src/chain/write/recovery.ts'

/** Returns every combination of the possible values of each input. */
function combinations<T extends object>(values: { [K in keyof T]: readonly T[K][] }): T[] {
	return Object.entries(values).reduce<T[]>(
		(all, [key, choices]) =>
			all.flatMap((each) =>
				(choices as readonly unknown[]).map((choice) => ({ ...each, [key]: choice }) as T),
			),
		[{} as T],
	)
}

const EVIDENCE = combinations<Evidence>({
	end: ['whole', 'sealed', 'fragment', 'invalid'],
	hole: [false, true],
	watermark: ['none', 'reached', 'missed'],
	boot: ['same', 'changed', 'unknown'],
})
const SITUATIONS = combinations<Situation>({
	verdict: ['clean', 'sealed', 'torn', 'unsyncedTail', 'unsyncedHole', 'truncated', 'damaged', 'ambiguous'],
	writer: ['sole', 'takenOver'],
	onDamage: ['rotate', 'refuse'],
})

describe('the decision tables', () => {
	test(`every one of ${EVIDENCE.length} combinations of evidence matches exactly one row`, () => {
		expect(EVIDENCE).toHaveLength(72)
		for (const each of EVIDENCE) expect([each, rowsFor(VERDICTS, each).length]).toEqual([each, 1])
		for (const row of VERDICTS) expect(EVIDENCE.some((each) => rowsFor(VERDICTS, each)[0] === row)).toBe(true)
	})

	test(`every one of ${SITUATIONS.length} situations matches exactly one row`, () => {
		expect(SITUATIONS).toHaveLength(32)
		for (const each of SITUATIONS) expect([each, rowsFor(ACTIONS, each).length]).toEqual([each, 1])
		for (const row of ACTIONS) expect(SITUATIONS.some((each) => rowsFor(ACTIONS, each)[0] === row)).toBe(true)
	})

	test('bytes followed by a valid entry are never cut', () => {
		for (const each of EVIDENCE.filter(({ hole }) => hole)) {
			for (const writer of ['sole', 'takenOver'] as const) {
				for (const onDamage of ['rotate', 'refuse'] as const) {
					expect(actionFor({ verdict: verdictOf(each), writer, onDamage })).not.toBe('cut')
				}
			}
		}
	})

	test('only the result of a kill or a power loss is cut, and only by a sole writer', () => {
		for (const each of SITUATIONS.filter((situation) => actionFor(situation) === 'cut')) {
			expect(each.writer).toBe('sole')
			expect(['torn', 'unsyncedTail']).toContain(each.verdict)
		}
	})

	test('nothing below the durable watermark counts as torn, unsynced or clean', () => {
		for (const each of EVIDENCE.filter(({ watermark }) => watermark === 'missed')) {
			expect(['truncated', 'damaged']).toContain(verdictOf(each))
		}
	})

	test('a file to which another writer may still write is never written to', () => {
		for (const each of SITUATIONS.filter(({ writer }) => writer === 'takenOver')) {
			expect(['append', 'cut']).not.toContain(actionFor(each))
		}
	})
})
