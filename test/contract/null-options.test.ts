/**
 * Only `undefined` means the default of an option. The names of the options come from the error for an
 * unknown one, so an option that is added is tested too.
 */
import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { ConsoleAppender } from '../../src/appenders/console-appender.ts'
import { NoOpAppender } from '../../src/appenders/no-op.ts'
import { TeeAppender } from '../../src/appenders/tee.ts'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { forwardChain } from '../../src/cluster/forward.ts'
import { JetStreamAppender } from '../../src/cluster/jetstream-appender.ts'
import { openStream } from '../../src/cluster/open-stream.ts'
import { pullStream } from '../../src/cluster/pull.ts'
import { consume } from '../../src/consume/consume.ts'
import { project } from '../../src/consume/projection.ts'
import { journalPg } from '../../src/journal/journal-pg.ts'
import { replayStatements } from '../../src/journal/replay-statements.ts'
import { exportJsonl } from '../../src/jsonl/export.ts'
import { importJsonl } from '../../src/jsonl/import.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { closeOnSignal } from '../../src/loop/close-on-signal.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { formatRecord } from '../../src/pretty/format-record.ts'
import { BlackBox } from '../../src/recorder/black-box.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { stateAt } from '../../src/recorder/state-at.ts'
import { Player } from '../../src/replay/player.ts'
import { replay } from '../../src/replay/replay.ts'
import { StreamTarget } from '../../src/replay/targets/stream-target.ts'
import { fromChannel } from '../../src/sources/kinds/from-channel.ts'
import { fromEmitter } from '../../src/sources/kinds/from-emitter.ts'
import { fromHttp } from '../../src/sources/kinds/from-http.ts'
import { fromIterable } from '../../src/sources/kinds/from-iterable.ts'
import { fromNats } from '../../src/sources/kinds/from-nats.ts'
import { fromStream } from '../../src/sources/kinds/from-stream.ts'
import { eventLoopDelay } from '../../src/sources/kinds/perf-hooks.ts'
import { SourceManager } from '../../src/sources/source-manager.ts'
import { appenderContract } from '../../src/testing/appender-contract.ts'
import { sourceContract } from '../../src/testing/source-contract.ts'
import { targetContract } from '../../src/testing/target-contract.ts'
import { collect } from '../support/records.ts'
import { wrong } from '../support/refusals.ts'
import { temporaryFolder } from '../support/temporary.ts'

let folder: string
let path: string
let chain: Chain
beforeEach(async () => {
	folder = temporaryFolder()
	path = join(folder, 'a.chain')
	const written = new MeshLoop(new FileChainAppender(path))
	written.info('one')
	await written.close()
	chain = await openChain(path)
})
afterEach(() => chain.close())

const loop = new MeshLoop()
const runner = { describe() {}, test() {} }
const servers = { servers: ['nats://127.0.0.1:1'] }
const source = () =>
	fromIterable(async function* () {
		yield 1
	})
const fold = (count: number) => count
const newChain = () => join(folder, `${Math.random()}.chain`)

/** Calls with options that are wrong. Each refuses them before it does anything. */
const CALLS: Readonly<Record<string, (options: Record<string, unknown>) => unknown>> = {
	MeshLoop: (options) => new MeshLoop(new NoOpAppender(), wrong(options)),
	'loop.snapshot': (options) => loop.snapshot(wrong(options)),
	'loop.subscribe': (options) => loop.subscribe(wrong(options)),
	BufferingAppender: (options) => new BufferingAppender(options),
	'BufferingAppender.waitFor': (options) => new BufferingAppender().waitFor({ kind: 'a' }, options),
	TeeAppender: (options) => new TeeAppender(new NoOpAppender(), wrong({ closeTimeoutMs: 1, ...options })),
	'child of TeeAppender': (child) =>
		new TeeAppender(wrong({ appender: new NoOpAppender(), ...child }), new NoOpAppender()),
	ConsoleAppender: (options) => new ConsoleAppender(wrong(options)),
	formatRecord: (options) => formatRecord(loop.info('hello')!, wrong(options)),
	FileChainAppender: (options) => new FileChainAppender(newChain(), wrong(options)),
	'sync of FileChainAppender': (sync) => new FileChainAppender(newChain(), wrong({ sync })),
	'rotate of FileChainAppender': (rotate) => new FileChainAppender(newChain(), wrong({ rotate })),
	'retain of FileChainAppender': (retain) => new FileChainAppender(newChain(), wrong({ retain })),
	JsonlAppender: (options) => new JsonlAppender(newChain(), wrong(options)),
	openChain: (options) => openChain(path, wrong(options)),
	'chain.records': (options) => collect(chain.records(wrong(options))),
	'chain.tail': (options) => chain.tail(wrong(options)),
	verifyChain: (options) => verifyChain(path, wrong(options)),
	repairChain: (options) => repairChain(path, wrong(options)),
	consume: (options) => consume(chain, 'a', () => {}, wrong(options)),
	project: (options) => project(chain, 'a', wrong({ fold, initial: 0, ...options })),
	exportJsonl: (options) => exportJsonl(chain, join(folder, 'a.jsonl'), wrong(options)),
	importJsonl: (options) => importJsonl(join(folder, 'a.jsonl'), newChain(), wrong(options)),
	readJsonl: (options) => readJsonl(join(folder, 'a.jsonl'), wrong(options)),
	closeOnSignal: (options) => closeOnSignal(loop, wrong(options)),
	replay: (options) => replay(chain, () => {}, wrong(options)),
	Player: (options) => new Player(chain, () => {}, wrong(options)),
	StreamTarget: (options) => new StreamTarget(new PassThrough(), wrong(options)),
	journalPg: (options) => journalPg({ query() {} }, loop, wrong(options)),
	'target of replayStatements': (target) => replayStatements(chain, wrong(target)),
	replayStatements: (options) => replayStatements(chain, { url: 'postgres://127.0.0.1:1/a' }, wrong(options)),
	BlackBox: (options) => new BlackBox(loop, wrong(options)),
	Recorder: (options) => new Recorder(loop, options),
	'Recorder.checkpoint': (options) => {
		const recorder = new Recorder(loop)
		recorder.start()
		try {
			recorder.checkpoint(0, wrong(options))
		} finally {
			recorder.stop()
		}
	},
	stateAt: (options) => stateAt(chain, { seq: 1 }, wrong({ fold, initial: 0, ...options })),
	fromChannel: (options) => fromChannel('a', wrong(options)),
	fromEmitter: (options) => fromEmitter(new EventEmitter(), 'a', wrong(options)),
	fromHttp: (options) => fromHttp('http://127.0.0.1:1', wrong(options)),
	fromIterable: (options) => fromIterable(async function* () {}, wrong(options)),
	fromNats: (options) => fromNats(wrong({ subscribe() {} }), 'a', wrong(options)),
	fromStream: (options) => fromStream(() => new PassThrough(), wrong(options)),
	eventLoopDelay: (options) => eventLoopDelay(wrong(options)),
	SourceManager: (options) => new SourceManager(loop, wrong(options)),
	'SourceManager.archive': async (options) => {
		const manager = new SourceManager(loop)
		try {
			await manager.archive('a', source(), wrong(options))
		} finally {
			await manager.close()
		}
	},
	'policies of SourceManager': (policy) => new SourceManager(loop, wrong({ policies: [policy] })),
	appenderContract: (options) => appenderContract(() => new NoOpAppender(), runner, wrong(options)),
	targetContract: (options) => targetContract(() => () => {}, runner, wrong(options)),
	sourceContract: (options) => sourceContract(source, runner, wrong(options)),
	JetStreamAppender: (options) => new JetStreamAppender(wrong({ ...servers, chain: 'a', ...options })),
	forwardChain: (options) => forwardChain(path, wrong({ ...servers, ...options })),
	openStream: (options) => openStream('nats://127.0.0.1:1/mesh', wrong(options)),
	pullStream: (options) => pullStream('nats://127.0.0.1:1/mesh', join(folder, 'pulled'), wrong(options)),
	'tls of forwardChain': (tls) => forwardChain(path, wrong({ ...servers, tls })),
	'stream of forwardChain': (streamSettings) => forwardChain(path, wrong({ ...servers, streamSettings })),
}

/** Options for which null is a value. */
const NULL_IS_A_VALUE: Readonly<Record<string, readonly string[]>> = {
	MeshLoop: ['nodeId'],
	project: ['initial'],
	stateAt: ['initial'],
	'SourceManager.archive': ['details'],
}

async function errorOf(call: () => unknown): Promise<MeshChainError | undefined> {
	try {
		await call()
		return undefined
	} catch (error) {
		if (error instanceof MeshChainError) return error
		throw error
	}
}

test.each(Object.entries(CALLS))('%s refuses null for each option', async (name, call) => {
	const unknown = await errorOf(() => call({ nonsense: 1 }))
	const names = /valid (?:options|filters): (.+)$/.exec(unknown?.message ?? '')?.[1]?.split(', ')
	expect(names, unknown?.message ?? 'accepted').toBeDefined()
	const accepted: string[] = []
	const refusals = new Set<string>()
	for (const option of names ?? []) {
		const error = await errorOf(() => call({ [option]: null }))
		if (error === undefined) accepted.push(option)
		else refusals.add(error.code)
	}
	expect(accepted).toEqual(NULL_IS_A_VALUE[name] ?? [])
	for (const code of refusals) expect(code).toMatch(/^INVALID_/)
})
