/**
 * Where a consumer resumes in a chain that has lost records after its cursor to a power loss, and in which a
 * later epoch wrote others under the same seqs: random chains and cursors, compared with a complete search.
 */
import { beforeEach, expect, test, vi } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { consume } from '../../src/consume/consume.ts'
import type { ConsumerCursor } from '../../src/consume/cursor-file.ts'
import { resumeAfter } from '../../src/consume/resume.ts'
import { type GapData, gapRecord, isGap, type LogRecord } from '../../src/model/record.ts'
import { randomFrom, SEED } from '../support/counts.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { readAll } from '../support/oracle.ts'
import { collect, record } from '../support/records.ts'

const PATH = '/chains/node.chain'
const CHAINS = 60
const CURSORS = 12

beforeEach(() => {
	vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
	return () => void vi.restoreAllMocks()
})

function append(appender: FileChainAppender, count: number, bytes = 20): void {
	for (let left = count; left > 0; left--) {
		const { nextSeq, epoch } = appender
		appender.append(record(nextSeq, { epoch, message: `${epoch}/${nextSeq} ${'x'.repeat(bytes)}` }))
	}
	appender.flush()
}

const identityOf = ({ epoch, seq }: ConsumerCursor) => `${epoch}/${seq}`

/** A chain after the worst case, with every view that a consumer may have had of it on the way. */
interface History {
	readonly fs: MemoryFileSystem
	readonly looks: readonly (readonly LogRecord[])[]
}

async function randomHistory(random: () => number): Promise<History> {
	const below = (bound: number) => Math.floor(random() * bound)
	const options: FileChainOptions = {
		durability: below(4) > 0 ? 'os' : 'disk',
		...(below(2) === 0 ? {} : { rotateRecords: 8 + below(20) }),
		...(below(4) === 0 ? { retain: { records: 30 + below(40) } } : {}),
	}
	let fs = new MemoryFileSystem()
	const looks: LogRecord[][] = []
	for (let life = 1 + below(4); life >= 0; life--) {
		const appender = new FileChainAppender(PATH, { ...options, fs })
		for (let turn = 1 + below(6); turn > 0; turn--) {
			append(appender, 1 + below(9), below(400))
			if (below(5) === 0) await appender.sync()
			looks.push(await readAll(PATH, fs))
		}
		const share = [0, 0.5, 0.9][below(3)]!
		const after = below(4) === 0 ? fs : fs.crashPoint('now').afterPowerLoss(() => random() < share)
		await appender.close()
		fs = after
	}
	return { fs, looks }
}

interface DealtWith {
	readonly cursor: ConsumerCursor
	has(record: LogRecord): boolean
}

/** The state of a consumer that has handled a view up to an index; undefined if the record there is a gap. */
function dealtWith(look: readonly LogRecord[], at: number): DealtWith | undefined {
	const cursor = look[at]
	if (cursor === undefined || isGap(cursor)) return undefined
	const dealt = look.slice(0, at + 1)
	const identities = new Set(dealt.filter((each) => !isGap(each)).map(identityOf))
	const gaps = dealt.filter(isGap).map(({ data }) => data as GapData)
	// A file that retention removed may be present again after a power loss: its records were delivered as a
	// gap.
	const wasGap = ({ seq }: LogRecord) => gaps.some(({ fromSeq, toSeq }) => fromSeq <= seq && seq <= toSeq)
	return {
		cursor,
		has: (record) => identities.has(identityOf(record)) || (record.epoch <= cursor.epoch && wasGap(record)),
	}
}

/** The same result as `resumeAfter`, by reading every record. */
function resumeBySearch(found: readonly LogRecord[], { epoch, seq }: ConsumerCursor): number {
	const records = found.filter((each) => !isGap(each))
	const [first] = found
	if (records.length === 0) {
		const isRetained = first !== undefined && (first.data as GapData).cause === 'retained'
		return isRetained ? Math.min(seq, first.seq) : 0
	}
	const upTo = records.filter((each) => each.seq <= seq)
	const firstNew = upTo.findIndex((each) => each.epoch > epoch)
	if (firstNew >= 0) return upTo[firstNew - 1]?.seq ?? 0
	return Math.min(seq, records.at(-1)!.seq)
}

async function resumeIn(fs: MemoryFileSystem, cursor: ConsumerCursor): Promise<number> {
	const chain = await openChain(PATH, { fs })
	const after = await resumeAfter(chain, cursor)
	await chain.close()
	return after
}

test('a gap at the end of a chain is not passed again', async () => {
	const fs = new MemoryFileSystem()
	const appender = new FileChainAppender(PATH, { fs })
	append(appender, 5)
	const { epoch } = appender
	appender.append(
		gapRecord({ fromSeq: 6, toSeq: 8, count: 3, cause: 'overflow' }, { epoch, tsMs: 1_000_000 }),
	)
	appender.flush()
	expect(await resumeIn(fs, { epoch, seq: 8 })).toBe(8)
	expect(await resumeIn(fs, { epoch, seq: 5 })).toBe(5)
	append(appender, 1)
	expect(await resumeIn(fs, { epoch, seq: 8 })).toBe(8)
	await appender.close()
})

test(`nothing new is skipped, and nothing handled is passed again (seed ${SEED})`, async () => {
	const random = randomFrom(SEED)
	let setBack = 0
	let kept = 0
	for (let index = 0; index < CHAINS; index++) {
		const { fs, looks } = await randomHistory(random)
		const consumers: { readonly at: DealtWith; readonly before: number }[] = []
		for (let left = CURSORS; left > 0; left--) {
			const look = looks[Math.floor(random() * looks.length)] ?? []
			// The loss is at the end.
			const at = dealtWith(look, Math.floor((1 - random() ** 2) * look.length))
			if (at !== undefined) consumers.push({ at, before: await resumeIn(fs, at.cursor) })
		}
		const found = await readAll(PATH, fs)
		for (const { at, before } of consumers) expect(before).toBe(resumeBySearch(found, at.cursor))
		// The rest is recovered and extended: a consumer of the earlier chain misses nothing either.
		const appender = new FileChainAppender(PATH, { fs })
		append(appender, 5)
		await appender.close()
		const again = await readAll(PATH, fs)
		for (const { at, before } of consumers) {
			const about = `chain ${index}, cursor ${identityOf(at.cursor)}`
			const after = await resumeIn(fs, at.cursor)
			expect(after, about).toBe(resumeBySearch(again, at.cursor))
			for (const each of again) {
				if (isGap(each)) continue
				const isNew = !at.has(each)
				expect(each.seq > after, `${about}, record ${identityOf(each)}`).toBe(isNew)
				if (isNew) expect(each.seq, `${about}, begun before`).toBeGreaterThan(before)
			}
			if (after < at.cursor.seq) setBack++
			else kept++
		}
	}
	expect(setBack, 'no cursor was set back: this tested less than it says').toBeGreaterThan(20)
	expect(kept).toBeGreaterThan(20)
})

test('the number of reads grows much slower than the chain', async () => {
	const readsOf = async (records: number) => {
		const fs = new MemoryFileSystem()
		const first = new FileChainAppender(PATH, { fs })
		append(first, 2)
		await first.close()
		const second = new FileChainAppender(PATH, { fs })
		append(second, records)
		await second.close()
		let reads = 0
		const counting: typeof fs.read = (...args) => {
			reads++
			return MemoryFileSystem.prototype.read.apply(fs, args)
		}
		fs.read = counting
		expect(await resumeIn(fs, { epoch: 1, seq: records })).toBe(2)
		return reads
	}
	const few = await readsOf(8_000)
	const many = await readsOf(64_000)
	expect(many).toBeLessThan(5 * few)
})

test('a consumer gets the records of a later epoch in place of lost ones, once', async () => {
	const memory = new MemoryFileSystem()
	const first = new FileChainAppender(PATH, { fs: memory })
	append(first, 10)
	await first.sync()
	append(first, 10)
	const before = await consumeAll(memory, 20)
	expect(before.seen).toHaveLength(20)
	const fs = memory.crashPoint('now').afterPowerLoss(() => false)
	await first.close()

	// The chain has not been opened since: the records are lost, and no new ones have been written.
	const between = await consumeAll(fs, 0)
	expect(between).toMatchObject({ seen: [], setBack: 10, lag: 0, cursor: { epoch: 1, seq: 10 } })

	const second = new FileChainAppender(PATH, { fs })
	append(second, 15)
	const after = await consumeAll(fs, 15)
	expect(after.seen).toEqual(Array.from({ length: 15 }, (_unused, index) => `2/${11 + index}`))
	expect(after).toMatchObject({ setBack: 0, lag: 15, cursor: { epoch: 2, seq: 25 } })
	append(second, 1)
	expect((await consumeAll(fs, 1)).seen).toEqual(['2/26'])
	await second.close()
})

test('a consumer gets them even if it did not run during the recovery', async () => {
	const memory = new MemoryFileSystem()
	const first = new FileChainAppender(PATH, { fs: memory })
	append(first, 10)
	await first.sync()
	append(first, 10)
	await consumeAll(memory, 20)
	const fs = memory.crashPoint('now').afterPowerLoss(() => false)
	await first.close()
	const second = new FileChainAppender(PATH, { fs })
	append(second, 30)
	const { seen, setBack, lag } = await consumeAll(fs, 30)
	expect(seen).toEqual(Array.from({ length: 30 }, (_unused, index) => `2/${11 + index}`))
	expect({ setBack, lag }).toEqual({ setBack: 10, lag: 30 })
	await second.close()
})

/**
 * Runs a consumer until it has handled this number of records; `lag` and `setBack` are those at the start.
 */
async function consumeAll(fs: MemoryFileSystem, count: number) {
	const chain = await openChain(PATH, { fs })
	const seen: string[] = []
	let enough = () => {}
	const handed = new Promise<void>((resolve) => {
		enough = resolve
	})
	let mayGoOn = () => {}
	const asked = new Promise<void>((resolve) => {
		mayGoOn = resolve
	})
	const consumer = consume(
		chain,
		'mailer',
		async (each) => {
			await asked
			seen.push(identityOf(each))
			if (seen.length === count) enough()
		},
		{ fs, pollIntervalMs: 5 },
	)
	const lag = await consumer.lag()
	mayGoOn()
	if (count > 0) await handed
	await consumer.close()
	const { setBack } = consumer.stats()
	const left = await collect(chain.records({ afterSeq: consumer.cursor.seq }))
	expect(left).toEqual([])
	await chain.close()
	return { seen, setBack, lag, cursor: consumer.cursor }
}
