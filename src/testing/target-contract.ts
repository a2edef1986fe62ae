/**
 * The requirements that a replay places on every `ReplayTarget`, as a suite for any test runner with
 * `describe` and `test`.
 */
import assert from 'node:assert/strict'
import { checkFunction, checkOptionNames, ifGiven } from '../model/check.ts'
import { gapRecord, type LogRecord } from '../model/record.ts'
import { replay } from '../replay/replay.ts'
import { asTarget, type ReplayTarget } from '../replay/target.ts'
import { checkContract, type TestFunctions } from './appender-contract.ts'

type Target = ReplayTarget | ((record: LogRecord) => unknown)

/** Functions for checks that the suite cannot perform by itself. */
export interface TargetContractOptions<T extends Target = Target> {
	/** Returns the records that the target received, oldest first. Called after the target has been closed. */
	readonly readBack?: ((target: T) => readonly LogRecord[] | Promise<readonly LogRecord[]>) | undefined
	/**
	 * Breaks the destination that the target writes to, for example by killing the program or closing the
	 * socket.
	 */
	readonly breakEnd?: ((target: T) => unknown) | undefined
}

const RECORDS = 500
const SOURCE_ID = 'the-source'

/**
 * Registers the contract suite for one type of replay target. The suite checks the requirements that a replay
 * places on every `ReplayTarget`.
 *
 * @param create Creates a new target for each test.
 * @throws {MeshChainError} `INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { describe, test } from 'node:test'
 * import { BufferingAppender, AppenderTarget } from 'mesh-chain'
 * import { targetContract } from 'mesh-chain/testing'
 *
 * targetContract(() => new AppenderTarget(new BufferingAppender()), { describe, test })
 * ```
 */
export function targetContract<T extends Target>(
	create: () => T | Promise<T>,
	functions: TestFunctions,
	options: TargetContractOptions<T> = {},
): void {
	checkContract(create, functions)
	checkOptionNames(options, ['readBack', 'breakEnd'])
	ifGiven('readBack', options.readBack, checkFunction)
	ifGiven('breakEnd', options.breakEnd, checkFunction)
	const { describe, test } = functions
	const suite = new Suite(create, options)
	describe('the target contract', () => {
		for (const [title, check] of Object.entries(suite.checks())) test(title, () => check())
	})
}

class Suite<T extends Target> {
	readonly #create: () => T | Promise<T>
	readonly #options: TargetContractOptions<T>

	constructor(create: () => T | Promise<T>, options: TargetContractOptions<T>) {
		this.#create = create
		this.#options = options
	}

	checks(): Record<string, () => Promise<void>> {
		return {
			'receives every record, in order and unchanged': () => this.#takesAll(),
			'receives gaps, or declares that it does not keep them': () => this.#takesGaps(),
			'can be flushed more than once, even with nothing to flush': () => this.#flushes(),
			'receives nothing from a dry run': () => this.#dryRun(),
			'can be closed more than once, and refuses later records': () => this.#closes(),
			'never blocks a replay when its other end is gone': () => this.#loses(),
		}
	}

	async #takesAll(): Promise<void> {
		const target = await this.#create()
		const summary = await replay(some(), target, { sourceId: SOURCE_ID })
		assert.equal(summary.firstError?.message, undefined)
		assert.equal(summary.replayed, RECORDS)
		await this.#assertHas(target, await collect(some()))
	}

	async #takesGaps(): Promise<void> {
		const target = await this.#create()
		const { keepsGaps } = asTarget(target)
		assert.ok(
			keepsGaps === undefined || typeof keepsGaps === 'boolean',
			'keepsGaps must be true, false or undefined',
		)
		async function* withGap() {
			yield record(1)
			yield gapRecord({ fromSeq: 2, toSeq: 4, count: 3, cause: 'evicted' }, { epoch: 1, tsMs: 1 })
			yield record(5)
		}
		const summary = await replay(withGap(), target, { sourceId: SOURCE_ID })
		assert.equal(summary.firstError?.message, undefined)
		assert.deepEqual(summary.gaps, { count: 1, records: 3 })
		const all = await collect(withGap())
		await this.#assertHas(target, keepsGaps === true ? all : [all[0]!, all[2]!])
	}

	async #flushes(): Promise<void> {
		const target = asTarget(await this.#create())
		await target.flush?.()
		await target.flush?.()
		await target.close?.()
	}

	async #dryRun(): Promise<void> {
		const target = await this.#create()
		const summary = await replay(some(), target, { dryRun: true })
		assert.equal(summary.replayed, RECORDS)
		await this.#assertHas(target, [])
	}

	async #closes(): Promise<void> {
		const target = asTarget(await this.#create())
		if (target.close === undefined) return
		await target.write(withOrigin(record(1)))
		await target.close()
		await target.close()
		await assert.rejects(async () => target.write(withOrigin(record(2))), 'a write after close must reject')
	}

	async #loses(): Promise<void> {
		const { breakEnd } = this.#options
		if (breakEnd === undefined) return
		const target = await this.#create()
		await asTarget(target).write(withOrigin(record(1)))
		await breakEnd(target)
		const summary = await replay(some(), target, { sourceId: SOURCE_ID, retries: 0, timeoutMs: 500 })
		assert.ok(summary.firstError !== undefined, 'lost records must be reported in firstError')
		assert.ok(summary.failed > 0 && summary.replayed < RECORDS, 'lost records must be counted as failed')
	}

	async #assertHas(target: T, expected: readonly LogRecord[]): Promise<void> {
		await asTarget(target).close?.()
		const { readBack } = this.#options
		if (readBack === undefined) return
		const found = await readBack(target)
		assert.deepEqual(found.map(essence), expected.map(withOrigin).map(essence))
	}
}

/** Returns the fields that a target must not change: all fields except seq, epoch and chainPending. */
function essence({ tsMs, level, kind, message, data, daemonId, nodeId, origin }: LogRecord) {
	return { tsMs, level, kind, message, data, daemonId, nodeId, origin }
}

function withOrigin(each: LogRecord): LogRecord {
	return { ...each, origin: { chainId: SOURCE_ID, epoch: each.epoch, seq: each.seq } }
}

async function* some(): AsyncGenerator<LogRecord> {
	for (let seq = 1; seq <= RECORDS; seq++) yield record(seq)
}

function record(seq: number): LogRecord {
	return {
		seq,
		epoch: 3,
		// Some records have an earlier time than the preceding record.
		tsMs: 1_700_000_000_000 + seq * 10 - (seq % 7) * 100,
		level: seq % 10 === 0 ? 'error' : 'info',
		kind: seq % 50 === 0 ? '$checkpoint' : 'order',
		message: `order ${seq}: é\n\u001b[31m`,
		...(seq % 3 === 0
			? {}
			: { data: { seq, big: 2n ** 63n, at: new Date(seq), bytes: Uint8Array.of(seq & 255) } }),
		daemonId: seq % 2 === 0 ? 'api' : 7n,
		nodeId: seq % 2 === 0 ? 7 : null,
		chainPending: false,
	}
}

async function collect(records: AsyncIterable<LogRecord>): Promise<LogRecord[]> {
	const all: LogRecord[] = []
	for await (const each of records) all.push(each)
	return all
}
