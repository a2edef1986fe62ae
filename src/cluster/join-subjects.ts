/**
 * Joins the subjects that contain the same fork of a chain. A chain that was copied and then continued by two
 * writers has two forks, which use the same epochs and seqs for different records.
 *
 * Invariant: joined subjects never contain different records at the newest position that they share. Every
 * fork is linear, so subjects that agree at that position also agree at all earlier positions.
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

/** Options for joining the subjects of a chain. */
export interface JoinOptions {
	/** Nodes whose fork is read if the chain has several forks. Default: the oldest fork in the stream. */
	readonly nodes?: readonly string[] | undefined
	/** Number of chains that are read at the same time. Default: 1. */
	readonly readTogether?: number | undefined
}

interface Part {
	readonly subject: SubjectReader
	/** Stream sequence of the subject's first message; infinite if there is none. */
	readonly firstStreamSeq: number
	readonly last: StreamMessage | undefined
}

/**
 * Opens a reader for the subjects that contain one fork of a chain, and warns about the other forks.
 *
 * @throws {MeshChainError} `CLUSTER_UNREACHABLE`, `STREAM_NOT_FOUND`, `STREAM_REPLACED`
 */
export async function joinSubjects(
	cluster: Cluster,
	found: FoundStream,
	{ subjects }: ChainSource,
	{ nodes = [], readTogether = 1 }: JoinOptions = {},
): Promise<ChainReader> {
	const ahead = readTogether * subjects.length
	const readers = subjects.map((subject) => new SubjectReader(cluster, found, subject, ahead))
	if (readers.length === 1) return new ChainReader(readers)
	const parts = await Promise.all(readers.map(partOf))
	const isNamed = ({ subject }: Part) => nodes.includes(subject.source.node)
	const own: Part[] = []
	const forks: ForkedChain[] = []
	for (const part of parts.toSorted(
		(a, b) => Number(isNamed(b)) - Number(isNamed(a)) || a.firstStreamSeq - b.firstStreamSeq,
	)) {
		if (await isFork(part, own)) forks.push(forkOf(part))
		else own.push(part)
	}
	const joined = new ChainReader(
		own.sort((a, b) => a.firstStreamSeq - b.firstStreamSeq).map(({ subject }) => subject),
		forks,
	)
	for (const fork of forks) warnOf(fork, joined)
	return joined
}

function warnOf({ subject, node }: ForkedChain, { stream, chainId, subjects }: ChainReader): void {
	const own = subjects.map(({ source }) => show(source.subject)).join(' and ')
	warn(
		'CHAIN_FORKED',
		`the chain ${chainId} has a fork in the stream ${show(stream)}: the records in ${show(subject)} differ ` +
			`from those in ${own} at the same seqs, because a machine or its files were copied. The fork ` +
			`is not read; to read it, add ?chain=${chainId}&node=${encodeURIComponent(node)} to the address`,
	)
}

async function partOf(subject: SubjectReader): Promise<Part> {
	const [first, last] = await Promise.all([subject.firstFrom(1), subject.last()])
	return { subject, firstStreamSeq: first?.streamSeq ?? Number.POSITIVE_INFINITY, last }
}

async function isFork(part: Part, own: readonly Part[]): Promise<boolean> {
	for (const other of own) if (await conflict(part, other)) return true
	return false
}

/** Returns whether two subjects have different records at the newest position that both reach. */
async function conflict(a: Part, b: Part): Promise<boolean> {
	if (a.last === undefined || b.last === undefined) return false
	const [shorter, longer] = compareCursors(endOf(a.last), endOf(b.last)) <= 0 ? [a, b] : [b, a]
	// If one subject starts a later epoch at a lower seq, the two subjects share only earlier positions.
	for (let here = shorter.last; here !== undefined; ) {
		const there = await messageAt(longer, here)
		const before = there && (await messageAt(shorter, there))
		if (there !== undefined && messagesDiffer(here, there)) return true
		if (there === undefined || before === undefined) return false
		if (messagesDiffer(before, there)) return true
		if (compareCursors(endOf(before), endOf(here)) >= 0) return false
		here = before
	}
	return false
}

/**
 * Returns the message in a part that contains the last record of another message. If the part does not
 * contain that record, returns the last message before it.
 */
async function messageAt({ subject, last }: Part, at: StreamMessage): Promise<StreamMessage | undefined> {
	const wanted = endOf(at)
	const { from, previous } = await subject.seek(
		last!,
		(message) => compareCursors(endOf(message), wanted) < 0,
	)
	const reaching = await subject.firstFrom(from)
	const begins = reaching?.frames[0]
	const isAt =
		begins !== undefined && compareCursors({ epoch: begins.epoch, seq: begins.baseSeq }, wanted) <= 0
	return isAt ? reaching : previous
}

function messagesDiffer(a: StreamMessage, b: StreamMessage): boolean {
	return recordsDiffer(recordsOf(a) ?? [], recordsOf(b) ?? [])
}

/**
 * Returns whether two lists contain different records with the same identity. Gaps are not compared, because
 * the range of a gap depends on the records before it.
 */
export function recordsDiffer(a: readonly LogRecord[], b: readonly LogRecord[]): boolean {
	return a.some((record) => {
		const same = b.find(({ epoch, seq }) => epoch === record.epoch && seq === record.seq)
		return same !== undefined && !isGap(same) && !isGap(record) && !isDeepStrictEqual(same, record)
	})
}

function forkOf({ subject, last }: Part): ForkedChain {
	const { subject: name, node } = subject.source
	return { subject: name, node, bytes: last?.sums?.bytes ?? last?.bytes ?? 1 }
}
