/**
 * The requirements that a `SourceManager` places on every `Source`, as a suite for any test runner with
 * `describe` and `test`.
 */
import assert from 'node:assert/strict'
import { checkFunction, checkOptionNames, ifGiven } from '../model/check.ts'
import type { Sample, SampleSink, Source } from '../sources/source.ts'
import { checkContract, type TestFunctions } from './appender-contract.ts'

/** Functions for checks that the suite cannot perform by itself. */
export interface SourceContractOptions<S extends Source = Source> {
	/**
	 * Makes a monitored source produce one sample, for example by emitting an event. May be called several
	 * times, even after monitoring has ended.
	 */
	readonly produce?: ((source: S) => unknown) | undefined
	/**
	 * Returns the number of resources that the source currently holds, such as listeners, sockets and
	 * subscriptions.
	 */
	readonly held?: ((source: S) => number | Promise<number>) | undefined
}

const SETTLE_MS_MAX = 10_000

/**
 * Registers the contract suite for one type of source. The suite checks the requirements that a
 * `SourceManager` places on every `Source`.
 *
 * @param create Creates a new source for each test. The object or service that provides the values must
 * already exist.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { EventEmitter } from 'node:events'
 * import { describe, test } from 'node:test'
 * import { fromEmitter } from 'mesh-chain/sources'
 * import { sourceContract } from 'mesh-chain/testing'
 *
 * const emitter = new EventEmitter()
 * sourceContract(() => fromEmitter(emitter, 'value'), { describe, test }, {
 * 	produce: () => emitter.emit('value', 1),
 * 	held: () => emitter.listenerCount('value'),
 * })
 * ```
 */
export function sourceContract<S extends Source>(
	create: () => S | Promise<S>,
	functions: TestFunctions,
	options: SourceContractOptions<S> = {},
): void {
	checkContract(create, functions)
	checkOptionNames(options, ['produce', 'held'])
	ifGiven('produce', options.produce, checkFunction)
	ifGiven('held', options.held, checkFunction)
	const { describe, test } = functions
	const suite = new Suite(create, options)
	describe('the source contract', () => {
		for (const [title, check] of Object.entries(suite.checks())) test(title, () => check())
	})
}

class Suite<S extends Source> {
	readonly #create: () => S | Promise<S>
	readonly #options: SourceContractOptions<S>

	constructor(create: () => S | Promise<S>, options: SourceContractOptions<S>) {
		this.#create = create
		this.#options = options
	}

	checks(): Record<string, () => Promise<void>> {
		return {
			'has monitor or read': () => this.#isSource(),
			'confirms its subscription': () => this.#opens(),
			'settles soon after its signal aborts, and releases its resources': () => this.#letsGo(),
			'settles immediately if its signal is already aborted': () => this.#abortedBefore(),
			'settles if its signal aborts while it is subscribing': () => this.#abortedMeanwhile(),
			'pushes nothing after its signal aborts': () => this.#silentAfterwards(),
			'can be monitored again': () => this.#again(),
			'waits while its sink is full': () => this.#waits(),
			'settles a read before its signal aborts': () => this.#reads(),
			'settles a read when its signal aborts': () => this.#readAborted(),
			'can be ended more than once, and can be read afterwards': () => this.#ends(),
		}
	}

	async #isSource(): Promise<void> {
		const { monitor, read } = await this.#create()
		assert.ok(
			typeof monitor === 'function' || typeof read === 'function',
			'monitor or read must be a function',
		)
	}

	async #opens(): Promise<void> {
		const source = await this.#create()
		if (source.monitor === undefined) return
		const sink = new Sink()
		const ended = source.monitor(sink)
		await until(() => this.#confirms(source, sink), 'opened() or a sample')
		await sink.abort(ended)
	}

	async #letsGo(): Promise<void> {
		const source = await this.#create()
		if (source.monitor === undefined) return
		const before = await this.#options.held?.(source)
		await this.#monitored(source)
		if (before === undefined) return
		await until(async () => (await this.#options.held!(source)) <= before, 'the release of all resources')
	}

	async #abortedBefore(): Promise<void> {
		const source = await this.#create()
		if (source.monitor === undefined) return
		const sink = new Sink()
		await sink.abort(undefined)
		await settles(source.monitor(sink))
	}

	async #abortedMeanwhile(): Promise<void> {
		const source = await this.#create()
		if (source.monitor === undefined) return
		const sink = new Sink()
		const ended = source.monitor(sink)
		await sink.abort(ended)
	}

	async #silentAfterwards(): Promise<void> {
		const source = await this.#create()
		const { produce } = this.#options
		if (source.monitor === undefined || produce === undefined) return
		const sink = await this.#monitored(source)
		const { length } = sink.samples
		await produce(source)
		await new Promise((resolve) => setTimeout(resolve, 20))
		assert.equal(sink.samples.length, length, 'no sample may arrive after the signal aborts')
	}

	async #again(): Promise<void> {
		const source = await this.#create()
		if (source.monitor === undefined) return
		for (let times = 0; times < 3; times++) await this.#monitored(source)
	}

	async #waits(): Promise<void> {
		const source = await this.#create()
		if (source.monitor === undefined || this.#options.produce === undefined) return
		const sink = new Sink(true)
		const ended = source.monitor(sink)
		await until(() => this.#produced(source, sink), 'a sample')
		for (let times = 0; times < 5; times++) await this.#options.produce(source)
		await new Promise((resolve) => setTimeout(resolve, 20))
		assert.ok(sink.waitingMax <= 1, 'at most one sample may wait at a time')
		await sink.abort(ended)
	}

	async #reads(): Promise<void> {
		const source = await this.#create()
		if (source.read === undefined) return
		const { signal } = new AbortController()
		await settles((async () => source.read!(signal))())
		await settles((async () => source.end?.())())
	}

	async #readAborted(): Promise<void> {
		const source = await this.#create()
		if (source.read === undefined) return
		const over = new AbortController()
		const reading = (async () => source.read!(over.signal))()
		over.abort()
		await settles(reading)
		await settles((async () => source.read!(over.signal))())
		source.end?.()
	}

	async #ends(): Promise<void> {
		const source = await this.#create()
		source.end?.()
		source.end?.()
		if (source.read === undefined) return
		const first = await source.read(new AbortController().signal)
		source.end?.()
		source.end?.()
		const second = await source.read(new AbortController().signal)
		assert.equal(typeof second, typeof first, 'a read after end must return the same type as before')
		source.end?.()
	}

	/**
	 * Monitors the source until a sample arrives, and then aborts. Without `produce`, aborts without waiting
	 * for a sample.
	 */
	async #monitored(source: S): Promise<Sink> {
		const sink = new Sink()
		const ended = source.monitor!(sink)
		await until(() => this.#produced(source, sink), 'a sample')
		await sink.abort(ended)
		return sink
	}

	async #confirms(source: S, sink: Sink): Promise<boolean> {
		if (sink.isOpen || sink.samples.length > 0) return true
		return this.#options.produce !== undefined && (await this.#produced(source, sink))
	}

	async #produced(source: S, sink: Sink): Promise<boolean> {
		const { produce } = this.#options
		if (produce === undefined) return true
		if (sink.samples.length === 0) await produce(source)
		return sink.samples.length > 0
	}
}

/** Records every sample, including samples that arrive too late. */
class Sink implements SampleSink {
	readonly samples: Sample[] = []
	isOpen = false
	waitingMax = 0
	#waiting = 0
	readonly #isFull: boolean
	readonly #over = new AbortController()

	constructor(isFull = false) {
		this.#isFull = isFull
	}

	get signal(): AbortSignal {
		return this.#over.signal
	}

	opened(): void {
		this.isOpen = true
	}

	push(sample: Sample): void {
		this.samples.push(sample)
	}

	/** If the sink is full, the returned promise resolves only when the signal aborts. */
	put(sample: Sample): Promise<void> | undefined {
		this.samples.push(sample)
		if (!this.#isFull || this.signal.aborted) return undefined
		this.waitingMax = Math.max(this.waitingMax, ++this.#waiting)
		return new Promise((resolve) => this.signal.addEventListener('abort', () => resolve()))
	}

	lost(): void {}

	async abort(ended: Promise<void> | undefined): Promise<void> {
		this.#over.abort()
		if (ended !== undefined) await settles(ended)
	}
}

/** Asserts that a promise resolves or rejects within the time limit. */
async function settles(promise: Promise<unknown>): Promise<void> {
	let timer: NodeJS.Timeout | undefined
	const late = new Promise((_resolve, reject) => {
		timer = setTimeout(() => {
			reject(new assert.AssertionError({ message: `the promise did not settle within ${SETTLE_MS_MAX} ms` }))
		}, SETTLE_MS_MAX)
	})
	const settled = promise.then(
		() => {},
		() => {},
	)
	try {
		await Promise.race([settled, late])
	} finally {
		clearTimeout(timer)
	}
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
	const deadline = Date.now() + SETTLE_MS_MAX
	while (!(await holds())) {
		assert.ok(Date.now() < deadline, `expected ${what} within ${SETTLE_MS_MAX} ms`)
		await new Promise((resolve) => setTimeout(resolve, 2))
	}
}
