import { expect, test } from 'vitest'
import { CommitOrder } from '../../src/journal/commit-order.ts'
import type { StatementData } from '../../src/journal/statement.ts'

const named = (text: string) => ({ text }) as StatementData

function ordered() {
	const seen: string[] = []
	return { seen, order: new CommitOrder(({ text }) => seen.push(text)) }
}

test('statements answered while a COMMIT was in flight follow it', () => {
	const { seen, order } = ordered()
	const commit = order.sent('COMMIT')
	expect(order.sent('update t set n = 2')).toBeUndefined()
	order.answered(named('update'))
	const other = order.sent(' end;')
	order.answered(named('end'), other)
	expect(seen).toEqual([])
	order.answered(named('commit'), commit)
	expect(seen).toEqual(['commit', 'update', 'end'])
})

test('statements answered before a COMMIT was sent do not wait', () => {
	const { seen, order } = ordered()
	order.answered(named('insert'))
	order.sent('commit')
	expect(seen).toEqual(['insert'])
})

test('a hanging COMMIT holds back at most 1,000 statements', () => {
	const { seen, order } = ordered()
	const commit = order.sent('commit')
	for (let n = 0; n < 1500; n++) order.answered(named(String(n)))
	expect(seen).toHaveLength(500)
	order.answered(named('commit'), commit)
	expect([seen.length, seen[500], seen.at(-1)]).toEqual([1501, 'commit', '1499'])
})

test.each([
	['/* x */ commit', true],
	['-- x\ncommit', true],
	[' ;/* a * b ** */--\n/**/\tEND', true],
	['/* commit', false],
	['-- commit', false],
	['/* x */ select 1 /* */ commit', false],
	['committed', false],
	[`${'/* x */ '.repeat(30_000)}select`, false],
])('the end of a transaction is recognised after comments: %.40s', (text, ends) => {
	expect(ordered().order.sent(text) !== undefined).toBe(ends)
})

test('held statements are published at exit, and an idle journal does not stay in memory', () => {
	const { seen, order } = ordered()
	const before = process.listenerCount('exit')
	const commit = order.sent('commit')
	order.answered(named('held'))
	expect(process.listenerCount('exit')).toBe(before + 1)
	order.answered(named('commit'), commit)
	expect([seen, process.listenerCount('exit')]).toEqual([['commit', 'held'], before])
})
