/**
 * The requirements of a loop on every `LogChainAppender`, as a suite for any test runner with `describe` and
 * `test`.
 */
import assert from 'node:assert/strict'
import type { LogChainAppender } from '../appender.ts'
import { isRetryable } from '../appender.ts'
import { MeshLoop } from '../loop/mesh-loop.ts'
import { checkFunction, checkIsObject, checkOptionNames, ifGiven } from '../model/check.ts'
import { isGap, type LogRecord } from '../model/record.ts'

/** The functions of a test runner, for example of vitest, jest or `node:test`. */
export interface TestFunctions {
	// biome-ignore lint/complexity/noBannedTypes: overloads differ; all take a title and a function
	readonly describe: Function
	// biome-ignore lint/complexity/noBannedTypes: as above
	readonly test: Function
}

/** Helpers for checks that the suite cannot do on its own. */
export interface ContractOptions<A extends LogChainAppender = LogChainAppender> {
	/** Returns the records that the appender holds or has stored, oldest first; may be called after close. */
	readonly readBack?: ((appender: A) => readonly LogRecord[] | Promise<readonly LogRecord[]>) | undefined
	/**
	 * Makes the appender fail as its medium would, by throwing or by falling behind. Returns a function that
	 * repairs it. Without this option, the failure tests wrap the appender in one that throws.
	 */
	readonly breakMedium?: ((appender: A) => () => void) | undefined
}

const DURABILITIES = ['none', 'memory', 'os', 'disk', undefined]
const SETTLE_MS_MAX = 10_000

/**
 * Registers the contract suite for one kind of appender: what a loop requires of every `LogChainAppender`.
 *
 * @param create makes a fresh, empty appender for every test.
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

/** Checks the arguments that all contracts share. @throws {MeshChainError} `INVALID_OPTION` */
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
			'takes records in order, and commits them': () => this.#commitsInOrder(),
			'never decreases committedSeq': () => this.#committedNeverFalls(),
			'takes a whole batch, and ignores an empty one': () => this.#takesBatches(),
			'flushes and syncs with nothing to do': () => this.#idleFlush(),
			'has committed every record when sync resolves': () => this.#syncCommits(),
			'can be closed more than once, and keeps its records': () => this.#closesTwice(),
			'refuses records for good after close': () => this.#refusesAfterClose(),
			'belongs to one loop at a time': () => this.#oneLoop(),
			'never throws into a publisher and loses nothing while it fails': () => this.#failsWithoutLoss(),
		}
	}

	async #describesItself(): Promise<void> {
		const appender = this.#create()
		for (const name of ['nextSeq', 'epoch'] as const) {
			const value = appender[name]
			if (value !== undefined)
				assert.ok(Number.isSafeInteger(value) && value >= 1, `${name} is a whole number from 1`)
		}
		assert.ok(DURABILITIES.includes(appender.durability), 'durability is none, memory, os or disk')
		assert.equal(appender.failure, undefined, 'a fresh appender has no failure')
		await appender.close?.()
	}

	async #commitsInOrder(): Promise<void> {
		const appender = this.#create()
		const loop = new MeshLoop(appender)
		const published = range(20).map((index) => loop.publish({ message: `m${index}`, data: { index } }))
		await loop.sync()
		assert.equal(loop.committedSeq, published.at(-1)?.seq, 'everything published is committed')
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
			assert.ok(loop.committedSeq >= highest, 'committedSeq does not step back')
			assert.ok(
				loop.committedSeq <= (appender.nextSeq ?? Number.POSITIVE_INFINITY) + 50,
				'committedSeq is not ahead of the records',
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
			'nothing is pending',
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
		assert.equal(loop.info('late'), undefined, 'the loop drops a late line')
		if (appender.durability === 'none') return
		const late = { ...record, seq: record.seq + 1 }
		await assert.rejects(
			async () => appender.append(late),
			(error) => !isRetryable(error),
			'a closed appender refuses for good',
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
		assert.ok(!published.includes(undefined), 'every line was stamped')
		heal()
		published.push(loop.publish({ message: 'healed' }))
		await until(() => loop.committedSeq === published.at(-1)?.seq)
		await loop.close()
		await this.#expectStored(appender, published)
	}

	/** Requires the same records in the same order; of a bounded appender, the newest. */
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

/** Simulates an unavailable medium: every append throws until it is repaired. */
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
		assert.ok(Date.now() < deadline, `not within ${SETTLE_MS_MAX} ms`)
		await new Promise((resolve) => setTimeout(resolve, 5))
	}
}
