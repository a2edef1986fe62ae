/**
 * The subjects of one chain as one: those that hold the same life of it. A chain that was copied and continued by two
 * writers has two lives: both used the same epochs and seqs for different records.
 *
 * Invariant: what is joined has no two records of one identity that differ, at the newest place that the subjects have in
 * common. Every life is linear, so lives that agree there agree before it.
 */
import { isDeepStrictEqual } from 'node:util'
import { show } from '../guard/show.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import { warn } from '../platform/diagnostics.ts'
import { ChainReader, compareCursors, endOf, type ForkedChain } from './chain-reader.ts'
import type { Cluster } from './connection.ts'
import { recordsOf } from './message.ts'
import type { FoundStream } from './stream.ts'
import { type StreamMessage, SubjectReader } from './subject-reader.ts'
import type { ChainSource } from './subjects.ts'

export interface JoinOptions {
	/** Of two lives, the one under these nodes is read. Default: the one that is oldest in the stream. */
	readonly nodes?: readonly string[]
	/** How many chains are read at the same time. */
	readonly readTogether?: number
}

interface Part {
	readonly subject: SubjectReader
	/** The place of its first message in the stream. */
	readonly place: number
	readonly last: StreamMessage | undefined
}

/** @throws {MeshChainError} `CLUSTER_UNREACHABLE`, `STREAM_NOT_FOUND`, `STREAM_REPLACED` */
export async function joinSubjects(
	cluster: Cluster,
	found: FoundStream,
	{ subjects }: ChainSource,
	{ nodes = [], readTogether = 1 }: JoinOptions = {},
): Promise<ChainReader> {
	const ahead = readTogether * subjects.length
	const streams = subjects.map((subject) => new SubjectReader(cluster, found, subject, ahead))
	if (streams.length === 1) return new ChainReader(streams)
	const parts = await Promise.all(streams.map(partOf))
	const isNamed = ({ subject }: Part) => nodes.includes(subject.source.node)
	const own: Part[] = []
	const others: ForkedChain[] = []
	for (const part of parts.toSorted((a, b) => Number(isNamed(b)) - Number(isNamed(a)) || a.place - b.place)) {
		if (await isFork(part, own)) others.push(forkOf(part))
		else own.push(part)
	}
	const joined = new ChainReader(
		own.sort((a, b) => a.place - b.place).map(({ subject }) => subject),
		others,
	)
	for (const other of others) warnOf(other, joined)
	return joined
}

function warnOf({ subject, node }: ForkedChain, { stream, chainId, subjects }: ChainReader): void {
	const own = subjects.map(({ source }) => show(source.subject)).join(' and ')
	warn(
		'CHAIN_FORKED',
		`the chain ${chainId} has two lives in the stream ${show(stream)}: ${show(subject)} has other records under the same seqs than ${own}, as after a machine or its files were copied; it is left out, and ?chain=${chainId}&node=${encodeURIComponent(node)} reads it`,
	)
}

async function partOf(subject: SubjectReader): Promise<Part> {
	const [first, last] = await Promise.all([subject.firstFrom(1), subject.last()])
	return { subject, place: first?.streamSeq ?? Number.POSITIVE_INFINITY, last }
}

async function isFork(part: Part, own: readonly Part[]): Promise<boolean> {
	for (const other of own) if (await conflict(part, other)) return true
	return false
}

/** Whether two subjects have different records at the newest place that both of them reach. */
async function conflict(a: Part, b: Part): Promise<boolean> {
	if (a.last === undefined || b.last === undefined) return false
	const [shorter, longer] = compareCursors(endOf(a.last), endOf(b.last)) <= 0 ? [a, b] : [b, a]
	// Where one of them has passed to a later epoch earlier, they have only older places in common.
	for (let here = shorter.last; here !== undefined; ) {
		const there = await messageAt(longer, here)
		const before = there && (await messageAt(shorter, there))
		if (there !== undefined && differ(here, there)) return true
		if (there === undefined || before === undefined) return false
		if (differ(before, there)) return true
		if (compareCursors(endOf(before), endOf(here)) >= 0) return false
		here = before
	}
	return false
}

/** The message of a part that has the last record of another message, or the one before that place. */
async function messageAt({ subject, last }: Part, at: StreamMessage): Promise<StreamMessage | undefined> {
	const wanted = endOf(at)
	const { from, before } = await subject.seek(last!, (message) => compareCursors(endOf(message), wanted) < 0)
	const reaching = await subject.firstFrom(from)
	const begins = reaching?.frames[0]
	const isAt =
		begins !== undefined && compareCursors({ epoch: begins.epoch, seq: begins.baseSeq }, wanted) <= 0
	return isAt ? reaching : before
}

function differ(a: StreamMessage, b: StreamMessage): boolean {
	return areOtherRecords(recordsOf(a) ?? [], recordsOf(b) ?? [])
}

/** Whether two stretches of a chain have different records of one identity. What a gap stands for depends on what was there before it. */
export function areOtherRecords(a: readonly LogRecord[], b: readonly LogRecord[]): boolean {
	return a.some((record) => {
		const same = b.find(({ epoch, seq }) => epoch === record.epoch && seq === record.seq)
		return same !== undefined && !isGap(same) && !isGap(record) && !isDeepStrictEqual(same, record)
	})
}

function forkOf({ subject, last }: Part): ForkedChain {
	const { subject: name, node } = subject.source
	return { subject: name, node, bytes: last?.sums?.bytes ?? last?.bytes ?? 1 }
}
