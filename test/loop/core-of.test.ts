/** A loop of one build of this package is accepted by every other build in the same process. */
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { checkLoop, coreOf } from '../../src/loop/core-of.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { recordCrashes } from '../../src/loop/record-crashes.ts'
import { BlackBox } from '../../src/recorder/black-box.ts'
import { Recorder } from '../../src/recorder/recorder.ts'

/** The built package, whose classes differ from those of src. */
const built: typeof import('../../src/index.ts') = await import('../../dist/index.js' as string)

test('Recorder, BlackBox and recordCrashes accept the loop of another build, and its children', () => {
	const appender = new BufferingAppender()
	const loop: MeshLoop = new built.MeshLoop(appender, { level: 'info' })
	expect(loop).not.toBeInstanceOf(MeshLoop)
	const recorder = new Recorder(loop.child({ daemonId: 'a' }))
	const blackBox = new BlackBox(loop)
	recorder.start('one')
	recorder.checkpoint({ items: 1 }, { id: 'first' })
	loop.debug('below the level')
	blackBox.trigger()
	recordCrashes(loop)()
	recorder.stop()
	expect(appender.captured().map(({ kind }) => kind)).toEqual([
		'$session',
		'$checkpoint',
		'$blackbox',
		'$session',
	])
	expect(appender.captured({ kind: '$blackbox' })[0]?.data.lines[0]?.message).toBe('below the level')
})

const METHODS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'publish', 'emit', 'child'] as const

test('the internals of a loop are not visible from outside', () => {
	const loop = new MeshLoop()
	expect(Reflect.ownKeys({ ...loop })).toEqual([...METHODS])
	expect(Object.values(loop).every((value) => typeof value === 'function')).toBe(true)
	expect(inspect(loop, { depth: 5 })).not.toMatch(/core|scope/i)
	expect(loop.info('with a loop', { loop })?.data).toEqual({ loop: {} })
	expect(loop.stats().unserializable).toBe(0)
	expect(coreOf(loop.child({})).core).toBe(coreOf(loop).core)
})

test('only a loop is accepted', () => {
	for (const given of [undefined, null, {}, 'loop', MeshLoop, { publish() {}, close() {} }]) {
		expect(() => checkLoop('this test needs a loop', given)).toThrow('this test needs a loop, not ')
	}
	checkLoop('this test needs a loop', new MeshLoop().child({}))
})
