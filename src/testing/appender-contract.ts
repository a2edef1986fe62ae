/**
 * The requirements that a loop places on every `LogChainAppender`, as a suite for any test runner with
 * `describe` and `test`.
 */
import assert from 'node:assert/strict'
import type { LogChainAppender } from '../appender.ts'
import { isRetryable } from '../appender.ts'
import { MeshLoop } from '../loop/mesh-loop.ts'
import { checkFunction, checkIsObject, checkOptionNames, ifGiven } from '../model/check.ts'
import { isGap, type LogRecord } from '../model/record.ts'

/** The functions of a test runner, such as vitest, jest or `node:test`. */
export interface TestFunctions {
	// biome-ignore lint/complexity/noBannedTypes: overloads differ; all take a title and a function
	readonly describe: Function
	// biome-ignore lint/complexity/noBannedTypes: as above
	readonly test: Function
}

/** Functions for checks that the suite cannot perform by itself. */
export interface ContractOptions<A extends LogChainAppender = LogChainAppender> {
	/**
	 * Returns the records that the appender has stored, oldest first. May be called after the appender is
	 * closed.
	 */
	readonly readBack?: ((appender: A) => readonly LogRecord[] | Promise<readonly LogRecord[]>) | undefined
	/**
	 * Makes the appender's medium fail, so that appends throw or records are not committed. Returns a function
	 * that restores the medium. Without this option, the failure test replaces `append` and `appendBatch` with
	 * methods that throw.
	 */
	readonly breakMedium?: ((appender: A) => () => void) | undefined
}

const DURABILITIES = ['none', 'memory', 'os', 'disk', undefined]
const SETTLE_MS_MAX = 10_000

/**
 * Registers the contract suite for one type of appender. The suite checks the requirements that a loop places
 * on every `LogChainAppender`.
 *
 * @param create Creates a new, empty appender for each test.
 * @throws {MeshChainError} `INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { describe, test } from 'node:test'
 * import { BufferingAppender } from 'mesh-chain'
 * import { appenderContract } from 'mesh-chain/testing'
 *
 * const readBack = (appender: BufferingAppender) => appender.captured()
 * appenderContract(() => new BufferingAppender(), { describe, test }, { readBack })
 * ```
 */
export function appenderContract<A extends LogChainAppender>(
	create: () => A,
	functions: TestFunctions,
	options: ContractOptions<A> = {},
): void {
	checkContract(create, functions)
	checkOptionNames(options, ['readBack', 'breakMedium'])
	ifGiven('readBack', options.readBack, checkFunction)
	ifGiven('breakMedium', options.breakMedium, checkFunction)
	const { describe, test } = functions
	const suite = new Suite(create, options)
	describe('the appender contract', () => {
		for (const [title, check] of Object.entries(suite.checks())) test(title, () => check())
	})
}

/** Checks the arguments that all contract suites share. @throws {MeshChainError} `INVALID_OPTION` */
export function checkContract(create: () => unknown, functions: TestFunctions): void {
	checkFunction('create', create)
	checkIsObject('the functions of the test runner', functions)
	checkFunction('describe', functions.describe)
	checkFunction('test', functions.test)
}

class Suite<A extends LogChainAppender> {
	readonly #create: () => A
	readonly #options: ContractOptions<A>

	constructor(create: () => A, options: ContractOptions<A>) {
		this.#create = create
		this.#options = options
	}

	checks(): Record<string, () => Promise<void>> {
		return {
			'has a valid nextSeq, epoch and durability': () => this.#describesItself(),
			'accepts records in order, and commits them': () => this.#commitsInOrder(),
			'never decreases committedSeq': () => this.#committedNeverFalls(),
			'accepts a batch as a whole, and ignores an empty batch': () => this.#takesBatches(),
			'can be flushed and synced with nothing to write': () => this.#idleFlush(),
			'has committed every record when sync resolves': () => this.#syncCommits(),
			'can be closed more than once, and keeps its records': () => this.#closesTwice(),
			'refuses records permanently after close': () => this.#refusesAfterClose(),
			'belongs to one loop at a time': () => this.#oneLoop(),
			'never makes a publisher throw, and loses no record while it fails': () => this.#failsWithoutLoss(),
		}
	}

	async #describesItself(): Promise<void> {
		const appender = this.#create()
		for (const name of ['nextSeq', 'epoch'] as const) {
			const value = appender[name]
			if (value !== undefined)
				assert.ok(Number.isSafeInteger(value) && value >= 1, `${name} must be a positive integer`)
		}
		assert.ok(
			DURABILITIES.includes(appender.durability),
			'durability must be none, memory, os, disk or undefined',
		)
		assert.equal(appender.failure, undefined, 'a new appender must have no failure')
		await appender.close?.()
	}

	async #commitsInOrder(): Promise<void> {
		const appender = this.#create()
		const loop = new MeshLoop(appender)
		const published = range(20).map((index) => loop.publish({ message: `m${index}`, data: { index } }))
		await loop.sync()
		assert.equal(loop.committedSeq, published.at(-1)?.seq, 'every published record must be committed')
		await loop.close()
		await this.#expectStored(appender, published)
	}

	async #committedNeverFalls(): Promise<void> {
		const appender = this.#create()
		const loop = new MeshLoop(appender)
		let highest = 0
		for (const index of range(50)) {
			loop.info(`m${index}`)
			if (index % 7 === 0) await turn()
			assert.ok(loop.committedSeq >= highest, 'committedSeq must not decrease')
			assert.ok(
				loop.committedSeq <= (appender.nextSeq ?? Number.POSITIVE_INFINITY) + 50,
				'committedSeq must not be ahead of the records',
			)
			highest = loop.committedSeq
		}
		await loop.close()
	}

	async #takesBatches(): Promise<void> {
		const appender = this.#create()
		const loop = new MeshLoop(appender)
		assert.deepEqual(loop.publishBatch([]), [])
		const published = loop.publishBatch(range(10).map((index) => ({ message: `m${index}` })))
		await loop.sync()
		assert.equal(loop.committedSeq, published.at(-1)?.seq)
		await loop.close()
		await this.#expectStored(appender, published)
	}

	async #idleFlush(): Promise<void> {
		const appender = this.#create()
		appender.flush?.()
		await appender.sync?.()
		await appender.close?.()
	}

	async #syncCommits(): Promise<void> {
		const appender = this.#create()
		const loop = new MeshLoop(appender)
		loop.info('before')
		const seq = loop.publish({ message: 'last' })?.seq
		await loop.sync()
		assert.equal(loop.committedSeq, seq)
		assert.ok(
			loop.snapshot().every((record) => !record.chainPending),
			'no record may be pending',
		)
		await loop.close()
	}

	async #closesTwice(): Promise<void> {
		const appender = this.#create()
		const loop = new MeshLoop(appender)
		const published = [loop.info('only')]
		await loop.close()
		await loop.close()
		await appender.close?.()
		await this.#expectStored(appender, published)
	}

	async #refusesAfterClose(): Promise<void> {
		const appender = this.#create()
		if (appender.close === undefined) return
		const loop = new MeshLoop(appender)
		const record = loop.info('only')
		assert.ok(record)
		await loop.close()
		assert.equal(loop.info('late'), undefined, 'a closed loop must drop a line')
		if (appender.durability === 'none') return
		const late = { ...record, seq: record.seq + 1 }
		await assert.rejects(
			async () => appender.append(late),
			(error) => !isRetryable(error),
			'a closed appender must refuse a record permanently',
		)
	}

	async #oneLoop(): Promise<void> {
		const appender = this.#create()
		const loop = new MeshLoop(appender)
		assert.throws(() => new MeshLoop(appender), { code: 'APPENDER_IN_USE' })
		await loop.close()
	}

	async #failsWithoutLoss(): Promise<void> {
		const appender = this.#create()
		const heal = this.#options.breakMedium?.(appender) ?? failByThrowing(appender)
		const loop = new MeshLoop(appender)
		const published: (LogRecord | undefined)[] = range(30).map((index) =>
			loop.publish({ message: `m${index}` }),
		)
		await turn()
		assert.ok(!published.includes(undefined), 'every line must be stamped')
		heal()
		published.push(loop.publish({ message: 'healed' }))
		await until(() => loop.committedSeq === published.at(-1)?.seq)
		await loop.close()
		await this.#expectStored(appender, published)
	}

	/** Asserts that the appender has stored exactly the published records, in order. */
	async #expectStored(appender: A, published: readonly (LogRecord | undefined)[]): Promise<void> {
		const stored = await this.#options.readBack?.(appender)
		if (stored === undefined) return
		const seen = stored
			.filter((record) => !isGap(record))
			.map(({ seq, message, data }) => ({ seq, message, data }))
		const expected = published.map((record) => ({
			seq: record?.seq,
			message: record?.message,
			data: record?.data,
		}))
		assert.deepEqual(seen, expected)
	}
}

/** Simulates an unavailable medium: every append throws until the returned function is called. */
function failByThrowing(appender: LogChainAppender): () => void {
	const undo: (() => void)[] = []
	for (const method of ['append', 'appendBatch'] as const) {
		if (appender[method] === undefined) continue
		const own = Object.getOwnPropertyDescriptor(appender, method)
		const value = () => {
			throw new Error('the medium is unavailable')
		}
		Object.defineProperty(appender, method, { configurable: true, value })
		undo.push(() => {
			Reflect.deleteProperty(appender, method)
			if (own !== undefined) Object.defineProperty(appender, method, own)
		})
	}
	return () => {
		for (const heal of undo) heal()
	}
}

function range(count: number): number[] {
	return Array.from({ length: count }, (_unused, index) => index)
}

function turn(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve))
}

async function until(holds: () => boolean): Promise<void> {
	const deadline = Date.now() + SETTLE_MS_MAX
	while (!holds()) {
		assert.ok(Date.now() < deadline, `records were not committed within ${SETTLE_MS_MAX} ms`)
		await new Promise((resolve) => setTimeout(resolve, 5))
	}
}
