/** How errors and the level `fatal` look in the text form of a record. */
import { expect, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { formatRecord } from '../../src/pretty/format-record.ts'

const loop = new MeshLoop(new BufferingAppender())
const linesOf = (...args: Parameters<typeof formatRecord>) => formatRecord(...args).split('\n')

test('the error of a record is printed once, below the line', () => {
	const [line, ...below] = linesOf(loop.error('payment failed', { orderId: 7 }, new TypeError('no card'))!)
	expect(line).toMatch(/ ERROR payment failed \{orderId: 7\} #1$/)
	expect(below[0]?.trim()).toBe('TypeError: no card')
	expect(below[1]).toMatch(/^ +at /)
})

test('an error under another name keeps its name in the line', () => {
	const [line, title] = linesOf(loop.error('failed', { reason: new TypeError('no card') })!)
	expect(line).toContain('{reason: TypeError: no card}')
	expect(title?.trim()).toBe('TypeError: no card')
})

test('a line at level fatal has that level, and no level in its data', () => {
	expect(linesOf(loop.fatal('dying', { code: 5 })!)[0]).toMatch(/ FATAL dying \{code: 5\} #3$/)
	expect(linesOf(loop.fatal('dying')!)[0]).toMatch(/ FATAL dying #4$/)
	expect(linesOf(loop.error('not dying', { level: 'other' })!)[0]).toMatch(/ ERROR .*\{level: "other"\} #5$/)
})
