/**
 * RELIABILITY, row 14: what an attacker can write × what the attacker does × the answer of each command. The
 * table is in docs/explanation/verification.md. Each of its cells is tested here on real files with the real
 * commands, so that the table stays true.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { beforeAll, expect, test } from 'vitest'
import { ANCHOR_BYTES } from '../../src/chain/format/anchor.ts'
import { checksum, entrySeed } from '../../src/chain/format/checksum.ts'
import { encodeWatermark } from '../../src/chain/format/watermark.ts'
import { identify } from '../../src/chain/scan/identity.ts'
import { formatHead } from '../../src/chain/verify/head.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { run } from '../../src/cli/run.ts'
import { type GapData, gapRecord, type LogRecord } from '../../src/model/record.ts'
import {
	chainFiles,
	entriesOf,
	type Folder,
	lastAnchor,
	recordsIn,
	rewrite,
	rewriteFrom,
} from '../support/attacker.ts'
import { compare, filesAt } from '../support/compare-with-oracle.ts'
import { tellCounts } from '../support/counts.ts'
import { forgeMessage, relink } from '../support/forge.ts'
import { ROOT } from '../support/process.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { silenceWarnings } from '../support/warnings.ts'

beforeAll(silenceWarnings)

const LIVE = 'node.chain'
const MARK = 'node.chain.durable'
const [FIRST, SECOND, THIRD] = ['node-1.chain', 'node-41.chain', 'node-81.chain'] as const
const LAST_SEQ = 130

interface Scene {
	readonly folder: Folder
	/** Head stored elsewhere while the chain was intact. */
	readonly head: string
	/** The same folder when it contained 60 records. */
	readonly older: Folder
}

async function append(path: string, toSeq: number, options: FileChainOptions = {}): Promise<void> {
	const appender = new FileChainAppender(path, { rotateRecords: 40, ...options })
	for (let seq = appender.nextSeq; seq <= toSeq; seq++) {
		appender.append(record(seq, { message: `paid mallory 1 EUR #${seq}`, epoch: appender.epoch }))
		appender.flush()
		if (seq % 10 === 0) await appender.sync()
	}
	await appender.close()
}

function folderAt(path: string): Folder {
	return new Map(readdirSync(path).map((name) => [name, readFileSync(join(path, name))]))
}

function written(folder: Folder): string {
	const path = join(temporaryFolder(), 'chain')
	mkdirSync(path)
	for (const [name, bytes] of folder) writeFileSync(join(path, name), bytes)
	return join(path, LIVE)
}

const headOf = async (path: string) => formatHead((await verifyChain(path)).head)

async function scene(): Promise<Scene> {
	const folder = temporaryFolder()
	const path = join(folder, LIVE)
	await append(path, 60)
	const older = folderAt(folder)
	await append(path, LAST_SEQ)
	const made = folderAt(folder)
	expect(chainFiles(made)).toEqual([FIRST, SECOND, THIRD, LIVE])
	return { folder: made, older, head: await headOf(path) }
}

/** An attack. Returns the scene if it differs from the given one. */
type Deed = (scene: Scene) => unknown

const edited = (records: readonly LogRecord[]) =>
	records.map((each, index) => (index === 2 ? { ...each, message: 'paid mallory 1000000 EUR' } : each))
const without = (cause: GapData['cause']) => (records: readonly LogRecord[]) => {
	const gone = records[2]!
	const gap = { fromSeq: gone.seq, toSeq: gone.seq, count: 1, cause }
	return records.map((each) => (each === gone ? gapRecord(gap, gone) : each))
}
const inserted = (records: readonly LogRecord[]) =>
	[...records.slice(0, 2), { ...records[2]!, message: 'never said' }, ...records.slice(2)].map(
		(each, index) => ({
			...each,
			seq: records[0]!.seq + index,
		}),
	)
const swapped = (records: readonly LogRecord[]) => {
	const [a, b] = [records[2]!, records[3]!]
	return records.map((each) => (each === a ? { ...b, seq: a.seq } : each === b ? { ...a, seq: b.seq } : each))
}
/** Adds a `$gap` for everything up to the live file. */
const andGapUpTo = (toSeq: number, cause: GapData['cause']) => (records: readonly LogRecord[]) => {
	const last = records.at(-1)!
	const gap = { fromSeq: last.seq + 1, toSeq, count: toSeq - last.seq, cause }
	return [...records, gapRecord(gap, last)]
}

function changed(folder: Folder, name: string, change: (bytes: Buffer) => Buffer): void {
	folder.set(name, change(Buffer.from(folder.get(name)!)))
}

function flip(bytes: Buffer): Buffer {
	bytes[bytes.indexOf('paid mallory') + 3]! ^= 1
	return bytes
}

/** Cuts after the third record of a file, at the end of an entry. */
function cut(bytes: Buffer): Buffer {
	const frame = entriesOf(bytes).filter(({ type }) => type === 'frame')[2]!
	return frame.type === 'frame' ? bytes.subarray(0, frame.frame.offset + frame.frame.length) : bytes
}

/** Writes a link into the last anchor and recomputes its checksum. */
function withLink(bytes: Buffer, link: Uint8Array): Buffer {
	const { offset } = lastAnchor(bytes)!
	Buffer.from(link).copy(bytes, offset + ANCHOR_BYTES - 32)
	return sealAnchor(bytes, offset)
}

function sealAnchor(bytes: Buffer, offset: number): Buffer {
	const { idChecksum } = identify(bytes, LIVE)
	const seed = entrySeed(idChecksum, offset, ANCHOR_BYTES)
	bytes.writeUInt32BE(checksum(bytes, offset + 13, offset + ANCHOR_BYTES, seed), offset + 9)
	return bytes
}

/** Makes the last anchor claim what retention has left, and recomputes its link and checksum. */
function claimKeptFrom(bytes: Buffer, seq: number): Buffer {
	const { offset } = lastAnchor(bytes)!
	bytes.writeDoubleBE(seq, offset + 165)
	return relink(sealAnchor(bytes, offset))
}

/** Makes the watermark match the files. */
function lowerMark(folder: Folder, offset = folder.get(LIVE)!.length): void {
	const bytes = folder.get(LIVE)!
	const { id, segment } = identify(bytes, LIVE)
	const seq = recordsIn(bytes.subarray(0, offset)).at(-1)?.seq ?? 0
	const { bootId } = lastAnchor(bytes)!
	const slot = encodeWatermark({ chainId: id, segment, offset, seq, epoch: 1, bootId, counter: 1000 })
	const mark = Buffer.alloc(174)
	slot.bytes.copy(mark, slot.position)
	folder.set(MARK, mark)
}

async function repaired(folder: Folder): Promise<Folder> {
	const path = written(folder)
	await repairChain(path)
	return folderAt(join(path, '..'))
}

const isOriginal = (name: string) => name.includes('.before-repair-')

const NOBODY = 'nobody'
const DELETES = 'delete files'
const LIVE_FILE = 'the live file'
const FILES = 'any file'
const ALL = 'any file and the watermark'

const DEEDS: readonly (readonly [who: string, what: string, deed: Deed])[] = [
	[NOBODY, 'the chain was closed', () => {}],
	[
		NOBODY,
		'the writer was killed while it wrote',
		({ folder }) => changed(folder, LIVE, (bytes) => Buffer.concat([bytes, bytes.subarray(365, 380)])),
	],
	[
		NOBODY,
		'the ring had evicted records (`evicted`)',
		async () => {
			const folder = temporaryFolder()
			const path = join(folder, LIVE)
			const appender = new FileChainAppender(path)
			appender.append(record(1))
			appender.append(gapRecord({ fromSeq: 2, toSeq: 4, count: 3, cause: 'evicted' }, { epoch: 1, tsMs: 1 }))
			appender.append(record(5))
			await appender.close()
			return { folder: folderAt(folder), older: new Map(), head: await headOf(path) }
		},
	],
	[
		NOBODY,
		'only a part was imported (`notImported`)',
		async () => {
			const folder = temporaryFolder()
			const path = join(folder, LIVE)
			const appender = new FileChainAppender(path)
			appender.append(
				gapRecord({ fromSeq: 1, toSeq: 4, count: 4, cause: 'notImported' }, { epoch: 1, tsMs: 1 }),
			)
			appender.append(record(5))
			await appender.close()
			return { folder: folderAt(folder), older: new Map(), head: await headOf(path) }
		},
	],
	[
		NOBODY,
		'retention removed files before the head was stored',
		async (made) => {
			const path = written(made.folder)
			await append(path, 170, { retain: { records: 130 } })
			return { ...made, folder: folderAt(join(path, '..')), head: await headOf(path) }
		},
	],
	[
		NOBODY,
		'retention removed some of the records that the head covers',
		async (made) => {
			const path = written(made.folder)
			await append(path, 170, { retain: { records: 130 } })
			return { ...made, folder: folderAt(join(path, '..')) }
		},
	],
	[
		NOBODY,
		'retention removed all records that the head covers',
		async (made) => {
			const path = written(made.folder)
			await append(path, 240, { retain: { records: 80 } })
			return { ...made, folder: folderAt(join(path, '..')) }
		},
	],
	[NOBODY, 'a bit of a sealed file flipped', ({ folder }) => changed(folder, SECOND, flip)],
	[
		NOBODY,
		'the same, then repaired, with the original kept',
		async (made) => {
			changed(made.folder, SECOND, flip)
			return { ...made, folder: await repaired(made.folder) }
		},
	],
	[
		NOBODY,
		'the same, then repaired, with the original deleted',
		async (made) => {
			changed(made.folder, SECOND, flip)
			const folder = await repaired(made.folder)
			for (const name of [...folder.keys()].filter(isOriginal)) folder.delete(name)
			return { ...made, folder }
		},
	],
	[
		NOBODY,
		'a bit of the live file flipped after the head, then repaired',
		async (made) => {
			const path = written(made.folder)
			await append(path, 135)
			const folder = folderAt(join(path, '..'))
			changed(folder, LIVE, (bytes) => {
				bytes[bytes.indexOf('EUR #133')]! ^= 1
				return bytes
			})
			return { ...made, folder: await repaired(folder) }
		},
	],
	[DELETES, 'the oldest file', ({ folder }) => void folder.delete(FIRST)],
	[DELETES, 'a sealed file between others', ({ folder }) => void folder.delete(SECOND)],
	[DELETES, 'the live file', ({ folder }) => void folder.delete(LIVE)],
	[
		DELETES,
		'the live file and the watermark',
		({ folder }) => {
			folder.delete(LIVE)
			folder.delete(MARK)
		},
	],
	[DELETES, 'the watermark', ({ folder }) => void folder.delete(MARK)],
	[
		DELETES,
		'a sealed file, then run `repair`',
		async (made) => {
			made.folder.delete(SECOND)
			return { ...made, folder: await repaired(made.folder) }
		},
	],
	[LIVE_FILE, 'flip a bit', ({ folder }) => changed(folder, LIVE, flip)],
	[
		LIVE_FILE,
		'edit a record and recompute its checksum',
		({ folder }) => changed(folder, LIVE, (bytes) => forgeMessage(bytes, 'EUR #123', 'EUR #999')),
	],
	[
		LIVE_FILE,
		'edit a record and recompute the links',
		({ folder }) => rewrite(folder, LIVE, { change: edited }),
	],
	[
		LIVE_FILE,
		'replace a record with a `notImported` gap and recompute the links',
		({ folder }) => rewrite(folder, LIVE, { change: without('notImported') }),
	],
	[
		LIVE_FILE,
		'replace a record with a `damaged` gap and add a `repaired` anchor',
		({ folder }) => rewrite(folder, LIVE, { change: without('damaged'), ends: ['repaired', 60] }),
	],
	[
		LIVE_FILE,
		'insert a record and recompute the links',
		({ folder }) => rewrite(folder, LIVE, { change: inserted }),
	],
	[
		LIVE_FILE,
		'reorder records and recompute the links',
		({ folder }) => rewrite(folder, LIVE, { change: swapped }),
	],
	[LIVE_FILE, 'truncate at the end of an entry', ({ folder }) => changed(folder, LIVE, cut)],
	[
		LIVE_FILE,
		'edit a record and claim a kept-from above the head',
		({ folder }) => rewrite(folder, LIVE, { change: edited, keptFromSeq: LAST_SEQ + 2 }),
	],
	[LIVE_FILE, 'roll back to an older copy', ({ folder, older }) => void folder.set(LIVE, older.get(LIVE)!)],
	[
		FILES,
		'edit a record in a sealed file and recompute its checksum',
		({ folder }) => changed(folder, SECOND, (bytes) => forgeMessage(bytes, 'EUR #43', 'EUR #99')),
	],
	[
		FILES,
		'the same, and recompute the links in that file',
		({ folder }) => changed(folder, SECOND, (bytes) => relink(forgeMessage(bytes, 'EUR #43', 'EUR #99'))),
	],
	[
		FILES,
		'the same, and recompute the links in all later files',
		({ folder }) => rewriteFrom(folder, SECOND, { change: edited }),
	],
	[
		FILES,
		'edit a sealed file and end it with a `repaired` anchor',
		({ folder }) => rewrite(folder, SECOND, { change: edited, ends: ['repaired', 0] }),
	],
	[
		FILES,
		'the same, and keep the true file as the original of a repair',
		({ folder }) => {
			folder.set(`${SECOND}.before-repair-00000000`, folder.get(SECOND)!)
			rewrite(folder, SECOND, { change: edited, ends: ['repaired', 0] })
		},
	],
	[
		FILES,
		'replace a record with the gap of a repair, and keep the true file as its original',
		({ folder }) => {
			folder.set(`${SECOND}.before-repair-00000000`, folder.get(SECOND)!)
			rewrite(folder, SECOND, { change: without('damaged'), ends: ['repaired', 0] })
		},
	],
	[
		FILES,
		'edit a sealed file, damage it before its last anchor, and run `repair`',
		async (made) => {
			const { link } = lastAnchor(made.folder.get(SECOND)!)!
			rewrite(made.folder, SECOND, { change: edited })
			changed(made.folder, SECOND, (bytes) => withLink(flip(bytes), link))
			return { ...made, folder: await repaired(made.folder) }
		},
	],
	[
		FILES,
		'insert records at the end of a sealed file, before a `repaired` anchor',
		({ folder }) =>
			rewrite(folder, FIRST, {
				change: (records) => [...records, { ...records.at(-1)!, seq: 41, message: 'never said' }],
				ends: ['repaired', 0],
			}),
	],
	...(['notImported', 'retained', 'damaged'] as const).map((cause): readonly [string, string, Deed] => [
		FILES,
		`replace sealed files with a \`${cause}\` gap and a \`repaired\` anchor`,
		({ folder }) => {
			rewrite(folder, FIRST, { change: andGapUpTo(120, cause), ends: ['repaired', 0] })
			folder.delete(SECOND)
			folder.delete(THIRD)
		},
	]),
	[
		FILES,
		'delete the oldest file, and claim a kept-from in an anchor after the head',
		async (made) => {
			const path = written(made.folder)
			await append(path, 135)
			const folder = folderAt(join(path, '..'))
			folder.delete(FIRST)
			changed(folder, LIVE, (bytes) => claimKeptFrom(bytes, 41))
			return { ...made, folder }
		},
	],
	[
		FILES,
		'delete the oldest file, and rewrite the live file with a kept-from',
		({ folder }) => {
			rewrite(folder, LIVE, { keptFromSeq: 41 })
			folder.delete(FIRST)
		},
	],
	[
		FILES,
		'write another history that starts after the head, as if retention had removed the rest',
		({ folder }) => {
			const change = (records: readonly LogRecord[]) =>
				records.map((each) => ({ ...each, seq: each.seq + 10, message: `never said ${'x'.repeat(40)}` }))
			rewrite(folder, LIVE, { change, firstSeq: LAST_SEQ + 1, keptFromSeq: LAST_SEQ + 1 })
			for (const name of [FIRST, SECOND, THIRD]) folder.delete(name)
		},
	],
	[FILES, 'rewrite the complete history', ({ folder }) => rewriteFrom(folder, FIRST, { change: edited })],
	[FILES, 'truncate a sealed file', ({ folder }) => changed(folder, SECOND, cut)],
	[
		FILES,
		'exchange two sealed files',
		({ folder }) => {
			const first = folder.get(FIRST)!
			folder.set(FIRST, folder.get(SECOND)!)
			folder.set(SECOND, first)
		},
	],
	[
		ALL,
		'truncate the live file at the end of an entry',
		({ folder }) => {
			changed(folder, LIVE, cut)
			lowerMark(folder)
		},
	],
	[ALL, 'roll back every file to an older copy', (made) => ({ ...made, folder: made.older })],
	[
		ALL,
		'cut the live file as a power loss would, under another boot id',
		({ folder }) => {
			rewrite(folder, LIVE, { bootId: Buffer.alloc(16, 9) })
			const { length } = cut(folder.get(LIVE)!)
			// Cut between two anchors, so that only the first is left.
			lowerMark(folder, length)
			changed(folder, LIVE, (bytes) => Buffer.concat([bytes.subarray(0, length), Buffer.alloc(40, 0xc1)]))
		},
	],
]

const asRow = (name: readonly string[]) => name.join(' | ')

/** The rows of the table in the docs: attacker, attack, and the answer of each command. */
const TABLE: ReadonlyMap<string, readonly string[]> = new Map(
	readFileSync(join(ROOT, 'docs/explanation/verification.md'), 'utf8')
		.split(/^\| Can write .*\n.*\n/m)[1]!
		.split('\n\n')[0]!
		.split('\n')
		.map((line) =>
			line
				.split('|')
				.slice(1, -1)
				.map((cell) => cell.trim()),
		)
		.map(([who = '', what = '', ...answers]) => [asRow([who, what]), answers]),
)

async function command(args: readonly string[]) {
	const [stdout, stderr] = [new PassThrough(), new PassThrough()]
	const written: Buffer[] = []
	stdout.on('data', (piece: Buffer) => written.push(piece))
	const status = await run(args, {
		stdout,
		stderr,
		stdin: new PassThrough(),
		stdinIsTerminal: false,
		stderrIsTerminal: false,
		stdoutIsTerminal: false,
		env: {},
		now: () => 1_700_000_100_000,
		interrupted: () => AbortSignal.abort(),
		onSignals: () => () => {},
	})
	return { status, stdout: Buffer.concat(written).toString() }
}

const STATUSES: Readonly<Record<string, readonly [status: number, strict: number]>> = {
	ok: [0, 0],
	'ok, records lost': [0, 3],
	'cannot be checked': [4, 4],
	'not ok': [3, 3],
}

/** Returns the answer of a command: its status, and its JSON and text if any. */
async function answerOf(...args: string[]): Promise<string> {
	const statuses = [(await command(args)).status, (await command([...args, '--strict'])).status]
	const answer = Object.keys(STATUSES).find((name) => `${STATUSES[name]}` === `${statuses}`)
	if (args[0] !== 'dump') {
		const json = JSON.parse((await command([...args, '-o', 'json'])).stdout)
		expect(json.answer).toBe(answer)
		if (json.ok !== undefined) expect(json.ok).toBe(answer === 'ok' || answer === 'ok, records lost')
		const text = answer === 'ok, records lost' ? `ok, ${json.recordsLost} record` : `${answer}`
		const { stdout } = await command([...args, '-o', 'pretty'])
		if (args[0] !== 'info' || answer !== 'ok') expect(stdout).toContain(text)
	}
	return answer ?? `statuses ${statuses}`
}

async function answersTo(deed: Deed): Promise<string[]> {
	const made = await scene()
	const { folder, head } = ((await deed(made)) as Scene | undefined) ?? made
	const path = written(folder)
	await compare(String(deed), filesAt(join(path, '..')), [head])
	return [
		await answerOf('verify', path),
		await answerOf('verify', path, '--head', head),
		await answerOf('info', path),
		await answerOf('dump', path),
		await answerOf('repair', path, '--dry-run'),
	]
}

test('the table in the docs has a row for each attack, and no other', () => {
	expect([...TABLE.keys()]).toEqual(DEEDS.map(([who, what]) => asRow([who, what])))
})

test.each(DEEDS)('%s: %s', async (who, what, deed) => {
	const answers = await answersTo(deed)
	expect(answers).toEqual(TABLE.get(asRow([who, what])))
	// With a head stored elsewhere, no change at or below it passes.
	const [, withHead = ''] = answers
	if (who !== NOBODY && what !== 'the watermark') expect(['not ok', 'cannot be checked']).toContain(withHead)
	tellCounts(14, `${who}: ${what}`, { verify: answers[0]!, 'verify --head': withHead })
})

test('the table contains every answer', () => {
	const answers = new Set([...TABLE.values()].flat())
	expect([...answers].sort()).toEqual(Object.keys(STATUSES).sort())
})
