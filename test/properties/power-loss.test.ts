/**
 * RELIABILITY in a model: at every single operation of a writer, the process is killed, or the power is lost
 * with every subset of unsynced sectors, sizes and names kept. If there are too many subsets, random ones are
 * used.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, onTestFinished, test, vi } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import type { ChainRecovery } from '../../src/chain/write/opened-chain.ts'
import { compare, filesIn } from '../support/compare-with-oracle.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { type CrashPoint, MemoryFileSystem } from '../support/memory-file-system.ts'
import { checkRecovery } from '../support/oracle.ts'
import { record } from '../support/records.ts'
import { silenceWarnings } from '../support/warnings.ts'

const PATH = '/chains/node.chain'
const EXHAUSTIVE_BITS = sizeOf('POWER_BITS')
const messageOf = (seq: number) => `message ${seq} ${'x'.repeat((seq * 97) % 400)}`

interface Moment {
	readonly point: CrashPoint
	/**
	 * Seqs up to which records were acknowledged as on disk, acknowledged as with the operating system, and
	 * published.
	 */
	readonly durable: number
	readonly written: number
	readonly published: number
}

/** Returns every moment in the life of a chain: two openings, syncs, rotations, a failed sync. */
async function momentsOf(options: FileChainOptions, syncEvery: number): Promise<Moment[]> {
	const memory = new MemoryFileSystem()
	const disk = new FaultyFileSystem(memory)
	const moments: Moment[] = []
	let durable = 0
	let written = 0
	let published = 0
	memory.onOperation = (operation) =>
		moments.push({ point: memory.crashPoint(operation), durable, written, published })
	for (const lastSeq of [9, 18]) {
		const appender = new FileChainAppender(PATH, { ...options, fs: disk })
		for (let seq = appender.nextSeq; seq <= lastSeq; seq++) {
			published = seq
			appender.append(record(seq, { message: messageOf(seq), epoch: appender.epoch }))
			if (seq % 2 === 0) {
				appender.flush()
				written = seq
			}
			if (seq === 14) disk.failSyncs('EIO')
			if (seq % syncEvery === 0 || seq === 14) {
				await appender.sync().then(
					() => {
						durable = seq
					},
					() => disk.heal(),
				)
			}
			await new Promise((resolve) => setImmediate(resolve))
		}
		await appender.close()
		durable = written = lastSeq
	}
	return moments
}

/**
 * Interval between comparisons with the oracle among the closely checked states. A comparison takes longer
 * than all other checks.
 */
const COMPARE_STEP = 8
let looks = 0

async function survive(
	moment: Moment,
	fs: MemoryFileSystem,
	acknowledged: number,
	how: string,
	isBrief = false,
): Promise<void> {
	const { published, point } = moment
	if (!fs.paths.some((path) => path === PATH || /^\/chains\/node-\d/.test(path))) {
		expect(acknowledged, `${how} at ${point.operation}: the chain is gone`).toBe(0)
		return
	}
	if (!isBrief && looks++ % COMPARE_STEP === 0) await compare(how, filesIn(fs), [], fs.boot)
	try {
		await checkRecovery(PATH, { acknowledged, published, fs, messageOf, isBrief })
	} catch (error) {
		throw new Error(`${how} at "${point.operation}", ${acknowledged} of ${published} acknowledged`, {
			cause: error,
		})
	}
}

/** Counts the verdicts of recoveries, without warnings. */
function countVerdicts(): Record<string, number> {
	const counts: Record<string, number> = {}
	const count = (message: unknown) => {
		const { verdict } = (message as { recovery: ChainRecovery }).recovery
		counts[verdict] = (counts[verdict] ?? 0) + 1
	}
	silenceWarnings()
	subscribe('mesh-chain:recovery', count)
	onTestFinished(() => {
		unsubscribe('mesh-chain:recovery', count)
		vi.restoreAllMocks()
	})
	return counts
}

for (const [name, options, syncEvery] of [
	['disk', { durability: 'disk' }, 3],
	['disk, rotating', { durability: 'disk', rotateRecords: 4 }, 3],
	['os, rotating', { rotateRecords: 4 }, 3],
	['os, rarely synced', {}, 100],
] as const) {
	test(`${name}: killed and without power at every operation`, async () => {
		const random = randomFrom(SEED)
		const verdicts = countVerdicts()
		const moments = await momentsOf(options, syncEvery)
		let exhaustive = 0
		let sampled = 0
		for (const moment of moments) await survive(moment, moment.point.afterKill(), moment.written, 'killed')
		for (const moment of moments) {
			const { bits } = moment.point
			if (bits > EXHAUSTIVE_BITS) continue
			for (let kept = 0; kept < 2 ** bits; kept++) {
				exhaustive++
				const fs = moment.point.afterPowerLoss((bit) => (kept & (1 << bit)) !== 0)
				await survive(moment, fs, moment.durable, `power lost, kept ${kept.toString(2)}`, kept % 8 !== 0)
			}
		}
		for (; sampled < sizeOf('POWER_SAMPLES') / 4; sampled++) {
			const moment = moments[Math.floor(random() * moments.length)]!
			const share = random()
			const fs = moment.point.afterPowerLoss(() => random() < share)
			await survive(moment, fs, moment.durable, `power lost (MESH_CHAIN_SEED=${SEED})`)
		}
		const counts = {
			operations: moments.length,
			kills: moments.length,
			'power losses enumerated': exhaustive,
		}
		tellCounts(5, `power-fail model, ${name}`, {
			...counts,
			'power losses at random': sampled,
			...verdicts,
			'acknowledged and lost': 0,
		})
	}, 7_200_000)
}
