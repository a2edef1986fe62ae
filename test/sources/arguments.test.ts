/** Arguments that sources and their manager refuse at once, with the error messages. */
import { EventEmitter } from 'node:events'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import {
	eventLoopDelay,
	fromChannel,
	fromEmitter,
	fromFunction,
	fromHttp,
	fromIterable,
	fromNats,
	fromStream,
	SourceManager,
	type SourceManagerOptions,
} from '../../src/sources/index.ts'
import { sourceContract } from '../../src/testing/index.ts'
import { type Refusal, testRefusals, wrong } from '../support/refusals.ts'

const loop = new MeshLoop()
const manager = new SourceManager(loop)
const source = fromFunction(() => 1)
const made = (options: unknown) => () => new SourceManager(loop, wrong(options) as SourceManagerOptions)
const bad = (what: string, call: () => unknown, message: string): Refusal => [
	what,
	call,
	'INVALID_OPTION',
	message,
]
const policies = (what: string, given: unknown, message: string): Refusal => [
	`policies: ${what}`,
	made({ policies: given }),
	'INVALID_POLICY',
	message,
]

testRefusals([
	bad('a manager without a loop', () => new SourceManager(wrong()), 'a SourceManager needs a loop'),
	bad('an unknown option', made({ capacity: 1 }), 'no such option'),
	bad('queueSamplesMax: 0', made({ queueSamplesMax: 0 }), 'queueSamplesMax must be'),
	bad('queueBytesMax: 1.5', made({ queueBytesMax: 1.5 }), 'queueBytesMax must be'),
	bad('drop: all', made({ drop: 'all' }), 'drop must be'),
	bad('retryIntervalMs beyond a timer', made({ retryIntervalMs: 2 ** 31 }), 'retryIntervalMs must be'),
	bad('concurrency: 0', made({ concurrency: 0 }), 'concurrency must be'),
	bad('clock: 5', made({ clock: 5 }), 'clock must be a function'),
	policies('none', 5, 'policies must be an array'),
	policies('without a match', [{ name: 'a', mode: 'monitor' }], 'policy 1: match must be'),
	policies('a mode of its own', [{ name: 'a', match: '*', mode: 'push' }], 'policy 1: mode must be'),
	policies(
		'a name twice',
		[1, 2].map(() => ({ name: 'a', match: '*', mode: 'monitor' })),
		'policy 2: there is already a policy named "a"',
	),
	bad('archive without a name', () => manager.archive(wrong(), source), 'the name of a source must be'),
	bad(
		'scanIntervalMs: 0',
		() => manager.archive('a', source, { mode: { scanIntervalMs: 0 } }),
		'mode must be',
	),
	bad('fields: 5', () => manager.archive('a', source, wrong({ fields: 5 })), 'fields must be'),
	bad(
		'too many fields',
		() => manager.archive('a', source, { fields: Array.from({ length: 257 }, String) }),
		'at most 256',
	),
	bad('updateFields of a text', () => manager.updateFields('a', wrong('unit')), 'fields must be'),
	bad(
		'details that are not data',
		() => manager.archive('a', source, { details: () => {} }),
		'details must be plain data',
	),
	['no source', () => manager.archive('a', wrong(5)), 'INVALID_SOURCE', 'a source must be an object'],
	['a monitor without monitor', () => manager.archive('a', source), 'INVALID_SOURCE', 'has no monitor(sink)'],
	['pause of an unknown source', () => manager.pause('gone'), 'SOURCE_NOT_FOUND', '"gone"'],
	bad('restore of nothing', () => manager.restore(wrong()), 'create must be a function'),
	bad('a function that is none', () => fromFunction(wrong()), 'read must be a function'),
	bad('an iterable itself', () => fromIterable(wrong([1])), 'open must be a function'),
	bad('a stream itself', () => fromStream(wrong({})), 'open must be a function'),
	bad('no emitter', () => fromEmitter(wrong(), 'value'), 'emitter.on must be a function'),
	bad('sample: 5', () => fromEmitter(new EventEmitter(), 'v', wrong({ sample: 5 })), 'sample must be'),
	bad('a channel without a name', () => fromChannel(''), 'the name of a channel must be'),
	bad('NATS without a connection', () => fromNats(wrong(), 'a'), 'connection.subscribe must be'),
	bad(
		'decode: xml',
		() => fromNats(wrong({ subscribe() {} }), 'a', wrong({ decode: 'xml' })),
		'decode must be',
	),
	bad('an address that is none', () => fromHttp('nonsense'), 'url must be'),
	bad('an address of a file', () => fromHttp('file:///etc/hosts'), 'an http or https URL'),
	bad(
		'a password in an address',
		() => fromHttp('http://me:secret@host/a'),
		'the URL http://host/a must not contain a user name or password',
	),
	bad('resolutionMs: 0', () => eventLoopDelay({ resolutionMs: 0 }), 'resolutionMs must be'),
	bad(
		'a contract without a runner',
		() => sourceContract(() => source, wrong()),
		'the functions of the test runner',
	),
])
