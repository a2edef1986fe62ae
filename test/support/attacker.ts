/**
 * An attacker who knows the format and can write files of a chain: rewrites any of them so that everything in
 * it is consistent.
 */
import { ANCHOR_BYTES, type AnchorReason, decodeAnchor } from '../../src/chain/format/anchor.ts'
import { HEADER_BYTES } from '../../src/chain/format/header.ts'
import { rowsOf } from '../../src/chain/scan/frame-rows.ts'
import { identify } from '../../src/chain/scan/identity.ts'
import { type ScanEntry, Scanner } from '../../src/chain/scan/scan.ts'
import type { SegmentContext } from '../../src/chain/write/segment-context.ts'
import { SegmentFile } from '../../src/chain/write/segment-file.ts'
import { startOfFile } from '../../src/chain/write/tail-buffer.ts'
import { LOG_LEVELS, type LogRecord, levelIndex } from '../../src/model/record.ts'
import { MemoryFileSystem } from './memory-file-system.ts'

/** Files of one folder, by name. */
export type Folder = Map<string, Buffer>

export interface Rewriting {
	/** Changes the records. A record that leaves its seq free shows as missing unless a `$gap` covers it. */
	readonly change?: (records: readonly LogRecord[]) => readonly LogRecord[]
	/** How the file ends. Default: as before. */
	readonly ends?: readonly [reason: AnchorReason, detail: number]
	readonly keptFromSeq?: number
	/** First seq of the header. */
	readonly firstSeq?: number
	readonly segment?: number
	readonly bootId?: Uint8Array
	/** Whether to link to the current state of the previous file. */
	readonly relinks?: boolean
}

/** Returns the files of a chain, oldest first; the last is the live one. */
export function chainFiles(folder: Folder): string[] {
	const names = [...folder.keys()].filter((name) => /^node(-\d+)?\.chain$/.test(name))
	return names.sort((a, b) => firstSeqOf(a) - firstSeqOf(b))
}

function firstSeqOf(name: string): number {
	return Number(/-(\d+)/.exec(name)?.[1] ?? Number.POSITIVE_INFINITY)
}

export function entriesOf(bytes: Buffer): ScanEntry[] {
	const scanner = new Scanner(identify(bytes, 'a file').idChecksum, HEADER_BYTES)
	scanner.push(bytes.subarray(HEADER_BYTES))
	scanner.end()
	const entries: ScanEntry[] = []
	for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
		if (step.type !== 'more') entries.push(step)
	}
	return entries
}

export function recordsIn(bytes: Buffer): LogRecord[] {
	return entriesOf(bytes).flatMap((entry) => (entry.type === 'frame' ? [...(rowsOf(entry.frame) ?? [])] : []))
}

/** Rewrites a file with every checksum, total and link in it, as a writer would have done. */
export function rewrite(folder: Folder, name: string, options: Rewriting = {}): void {
	const bytes = folder.get(name)!
	const identity = identify(bytes, name)
	const names = chainFiles(folder)
	const before = names.slice(0, names.indexOf(name))
	const last = lastAnchor(bytes)!
	const previous = before.at(-1)
	const { end = 0, link = new Uint8Array(32) } =
		options.relinks && previous !== undefined
			? { end: folder.get(previous)!.length, link: lastAnchor(folder.get(previous)!)!.link }
			: (identity.previous ?? {})
	const firstSeq = options.firstSeq ?? identity.firstSeq
	const writer = { epoch: 1, bootId: options.bootId ?? last.bootId, clock: () => last.writtenMs }
	const system = new MemoryFileSystem()
	const counts = { writes: 0, writeFailures: 0, syncs: 0, syncFailures: 0 }
	const context: SegmentContext = { system, writer, counts, keepUnsynced: false }
	const header = {
		chainId: identity.id,
		segment: options.segment ?? identity.segment,
		createdMs: identity.createdMs ?? 0,
		firstSeq,
		previousEnd: end,
		previousLink: link,
	}
	const levelCounts = LOG_LEVELS.map(() => 0)
	for (const each of before) {
		for (const { kind, level } of recordsIn(folder.get(each)!)) {
			if (kind !== '$gap') levelCounts[levelIndex(level)]! += 1
		}
	}
	const keptFromSeq = options.keptFromSeq ?? last.keptFromSeq
	const path = `/${name}`
	const start = startOfFile({ nextSeq: firstSeq, levelCounts, keptFromSeq })
	const file = SegmentFile.create(context, { path, mode: 0o600 }, header, start)
	file.tail.anchor(header.segment === 0 ? 'opened' : 'span', 0)
	for (const record of options.change?.(recordsIn(bytes)) ?? recordsIn(bytes)) {
		file.tail.push(record)
		file.tail.seal()
	}
	file.tail.anchor(...(options.ends ?? [last.reason, last.detail]))
	file.write()
	folder.set(name, system.get(path))
}

/** Rewrites a file and all later ones, each linked to the previous one. */
export function rewriteFrom(folder: Folder, name: string, options: Rewriting = {}): void {
	const names = chainFiles(folder)
	for (const each of names.slice(names.indexOf(name))) {
		rewrite(folder, each, { ...(each === name ? options : {}), relinks: each !== name })
	}
}

export function lastAnchor(bytes: Buffer) {
	const { idChecksum } = identify(bytes, 'a file')
	const found = entriesOf(bytes).findLast(({ type }) => type === 'anchor')
	if (found?.type !== 'anchor') return undefined
	const { offset } = found.anchor
	return decodeAnchor(bytes.subarray(offset, offset + ANCHOR_BYTES), 0, offset, idChecksum)
}
