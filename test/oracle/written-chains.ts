/** Files of chains from real writers: the input for the comparison with the oracle. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { canonicalise } from '../../src/codec/canonical.ts'
import {
	type GapCause,
	gapRecord,
	LOG_LEVELS,
	type LogLevel,
	type LogRecord,
} from '../../src/model/record.ts'
import { CANONICAL_ROWS } from '../support/canonical-rows.ts'
import { filesAt, filesIn } from '../support/compare-with-oracle.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { forgeFrames, forgeMessage } from '../support/forge.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { ROOT } from '../support/process.ts'
import { record } from '../support/records.ts'
import type { NamedFile } from './format-oracle.mjs'

const PATH = '/chains/node.chain'
const GOLDENS = join(ROOT, 'test', 'golden', 'v1')

export interface NamedChain {
	readonly name: string
	readonly files: readonly NamedFile[]
}

export function goldenChains(): NamedChain[] {
	return readdirSync(GOLDENS).map((name) => {
		const files = filesAt(join(GOLDENS, name)).filter((file) => file.name.startsWith('node'))
		return { name: `golden ${name}`, files }
	})
}

const CAUSES: readonly GapCause[] = ['evicted', 'notImported', 'lagged', 'overflow', 'retained', 'unsynced']
const KINDS = ['log', 'log', 'metric', '$mark', 'gruß', '']
const IDS = ['daemon', null, 4711, 2n ** 40n, -5n, 'dämon', 0.5]
/** Values that the rows below do not contain. */
const VALUES = [
	undefined,
	null,
	2 ** 32,
	-(2 ** 31) - 1,
	2n ** 200n,
	-(2n ** 64n),
	new Date(-1),
	'ü'.repeat(300),
	{},
]

/** Returns a record of any shape. */
function recordAt(seq: number, epoch: number, random: () => number): LogRecord {
	const oneOf = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
	const values = [...VALUES, ...CANONICAL_ROWS.map(([, given]) => given)]
	const origin = { chainId: 'ab'.repeat(16), epoch: 3, seq: Math.floor(random() * 1000) }
	return record(seq, {
		epoch,
		tsMs: 1_700_000_000_000 + Math.floor(random() * 100_000),
		level: oneOf<LogLevel>(LOG_LEVELS),
		kind: oneOf(KINDS),
		message: `message ${seq} ${'x'.repeat(Math.floor(random() * 60))}`,
		daemonId: oneOf(IDS),
		nodeId: oneOf(IDS),
		...(random() < 0.4 ? { data: canonicalise(oneOf(values)).value } : {}),
		...(random() < 0.1 ? { origin } : {}),
	})
}

interface Life {
	readonly options: FileChainOptions
	readonly openings: number
	readonly records: number
	/** Interval between failing syncs, in records. */
	readonly failsSyncs?: number
}

const LIVES: Readonly<Record<string, Life>> = {
	'one opening': { options: {}, openings: 1, records: 30 },
	openings: { options: {}, openings: 6, records: 9 },
	rotation: { options: { rotateRecords: 12 }, openings: 3, records: 20 },
	retention: { options: { rotateRecords: 8, retain: { records: 20 } }, openings: 3, records: 25 },
	'on disk': { options: { durability: 'disk', rotateRecords: 10 }, openings: 2, records: 16 },
	'failed syncs': {
		options: { durability: 'disk', rotateRecords: 40 },
		openings: 2,
		records: 20,
		failsSyncs: 7,
	},
}

/** Runs one writer; `onMoment` is called after every operation that changes the disk. */
async function live(
	{ options, openings, records, failsSyncs }: Life,
	random: () => number,
	onMoment?: (fs: MemoryFileSystem, operation: string) => void,
): Promise<MemoryFileSystem> {
	const memory = new MemoryFileSystem()
	const fs = new FaultyFileSystem(memory)
	if (onMoment !== undefined) memory.onOperation = (operation) => onMoment(memory, operation)
	for (let opening = 0; opening < openings; opening++) {
		const appender = new FileChainAppender(PATH, { ...options, fs })
		let seq = appender.nextSeq
		for (let index = 1; index <= records; index++) {
			const { epoch } = appender
			if (random() < 0.05) {
				const toSeq = seq + Math.floor(random() * 5)
				const cause = CAUSES[Math.floor(random() * CAUSES.length)]!
				const gap = { fromSeq: seq, toSeq, count: toSeq - seq + 1, cause }
				appender.append(gapRecord(gap, { epoch, tsMs: 1_700_000_000_000 }))
				seq = toSeq + 1
			} else appender.append(recordAt(seq++, epoch, random))
			if (random() < 0.4) appender.flush()
			if (index === failsSyncs) fs.failSyncs('EIO')
			if (random() < 0.15 || index === failsSyncs) await appender.sync().catch(() => fs.heal())
			await new Promise((resolve) => setImmediate(resolve))
		}
		await appender.close()
	}
	return memory
}

/** Returns closed chains of every kind. */
export async function writtenChains(random: () => number): Promise<NamedChain[]> {
	const chains: NamedChain[] = []
	for (const [name, life] of Object.entries(LIVES)) {
		chains.push({ name, files: filesIn(await live(life, random)) })
	}
	return chains
}

export interface Crash extends NamedChain {
	/** Boot of the machine at which the files are read. */
	readonly boot: number
}

/**
 * Returns the result of kills and power losses on such chains, `count` of each kind, before and after the
 * next writer.
 */
export async function crashes(random: () => number, count: number): Promise<Crash[]> {
	const found: Crash[] = []
	for (const [name, life] of Object.entries(LIVES)) {
		const moments: {
			readonly point: ReturnType<MemoryFileSystem['crashPoint']>
			readonly operation: string
		}[] = []
		await live(life, random, (fs, operation) => moments.push({ point: fs.crashPoint(operation), operation }))
		for (let index = 0; index < count; index++) {
			const { point, operation } = moments[Math.floor(random() * moments.length)]!
			const share = random()
			const fs = index % 3 === 0 ? point.afterKill() : point.afterPowerLoss(() => random() < share)
			const how = `${name}, ${index % 3 === 0 ? 'killed' : 'without power'} at "${operation}"`
			found.push({ name: how, files: filesIn(fs), boot: fs.boot })
			if (index % 4 !== 0 || !fs.paths.includes(PATH)) continue
			await new FileChainAppender(PATH, { fs }).close()
			found.push({ name: `${how}, opened again`, files: filesIn(fs), boot: fs.boot })
		}
	}
	return found
}

/** Returns forged files, and damaged files after a repair. */
export async function madeChains(random: () => number): Promise<NamedChain[]> {
	const rotated = await live(LIVES['rotation']!, random)
	const [sealed] = rotated.paths.filter((path) => /node-\d+\.chain$/.test(path))
	const whole = rotated.get(sealed!)
	const damaged = Buffer.from(whole)
	for (let at = 0; at < 40; at++) damaged[Math.floor(whole.length / 2) + at]! ^= 0x5a
	rotated.put(sealed!, damaged)
	const before = filesIn(rotated)
	await repairChain(PATH, { fs: rotated })
	const repaired = filesIn(rotated)
	rotated.put(sealed!, forgeMessage(whole, 'message', 'MESSAGE'))
	const frames = forgeFrames([
		{ rows: Buffer.from('920002', 'hex') },
		{ rows: Buffer.from('92000293', 'hex') },
	])
	return [
		{ name: 'damaged', files: before },
		{ name: 'repaired', files: repaired },
		{
			name: 'repaired, the original gone',
			files: repaired.filter(({ name }) => !name.includes('before-repair')),
		},
		{ name: 'a forged message', files: filesIn(rotated) },
		{ name: 'forged frames', files: [{ name: 'node.chain', bytes: frames }] },
	]
}
