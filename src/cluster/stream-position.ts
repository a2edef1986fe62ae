/** Finds the end of a chain in a stream, and determines the size limits for messages. */
import type { LastForMsgRequest, StoredMsg, StreamInfo } from '@nats-io/jetstream'
import type { Frame } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import type { Cluster } from './connection.ts'
import { framesOf, isFence } from './message.ts'
import type { MessageLimits } from './message-builder.ts'
import { NO_SUMS, parseSums, SUMS_HEADER, type Sums } from './message-sums.ts'
import { unreachable } from './stream.ts'

/** Space reserved for the headers and the subject of a message, in bytes. */
const HEADER_BYTES_MAX = 8 * 1024
const PAYLOAD_BYTES_DEFAULT = 1024 * 1024
/**
 * Number of stream sequences in the first step of the backward search, and the factor by which steps grow.
 */
const LOOK_BACK = 64
const LOOK_BACK_GROWTH = 8

/** The newest message of a chain. */
export interface LastMessage {
	readonly frames: readonly Frame[]
	/** Epoch of the message's last record. */
	readonly epoch: number
	/** Seq of the message's last record. */
	readonly seq: number
	/** Sums of the chain up to and including this message. */
	readonly sums: Sums
}

/** The end of a chain in a stream. */
export interface StreamPosition {
	/** Newest message of the chain; undefined if there is none. */
	readonly last: LastMessage | undefined
	/** Stream sequence of the newest message; 0 if there is none. */
	readonly lastStreamSeq: number
	/**
	 * Sequence that the next message must state as the last sequence of its subject. If the servers have a
	 * different last sequence, they refuse the message.
	 */
	readonly expectSeq: number
}

/**
 * Asks the servers for the end of a chain under one subject.
 *
 * @throws {MeshChainError} `CLUSTER_UNREACHABLE`, or `STREAM_UNFIT` if the last message is not part of the
 * chain.
 */
export async function positionOf(
	cluster: Cluster,
	stream: string,
	subject: string,
	chainId: string,
): Promise<StreamPosition> {
	const { message, expectSeq } = await newestOf(cluster, stream, subject).catch((error) => {
		throw unreachable(cluster, stream, error)
	})
	if (message === undefined) return { last: undefined, lastStreamSeq: 0, expectSeq }
	const { frames, isWhole } = framesOf(message.data, chainId)
	const frame = frames.at(-1)
	if (frame === undefined || !isWhole) {
		throw new MeshChainError(
			'STREAM_UNFIT',
			`message ${message.seq} in the stream ${show(stream)} has the subject of this chain, ` +
				`${subject}, but is not part of the chain: find the program that published it, and delete the ` +
				`message (nats stream rmm ${stream} ${message.seq})`,
		)
	}
	const sums = parseSums(message.header?.get(SUMS_HEADER)) ?? NO_SUMS
	const last = { frames, epoch: frame.epoch, seq: frame.baseSeq + frame.rows - 1, sums }
	return { last, lastStreamSeq: message.seq, expectSeq }
}

/** A subject, and the end of a chain under it. */
export interface SubjectAndPosition {
	readonly subject: string
	readonly position: StreamPosition
}

/**
 * Asks the servers for the end of a chain under each of its subjects, including those with former node names.
 * The subject with the newest record is first, because the chain continues there.
 *
 * @param prefix Prefix of the subjects to search.
 * @throws {MeshChainError} The same errors as {@link positionOf}.
 */
export async function positionsIn(
	cluster: Cluster,
	stream: string,
	{ prefix, chainId }: { readonly prefix: string; readonly chainId: string },
): Promise<SubjectAndPosition[]> {
	const { state } = await cluster.manager.streams
		.info(stream, { subjects_filter: `${prefix}.*.${chainId}` })
		.catch((error) => {
			throw unreachable(cluster, stream, error)
		})
	const positions: SubjectAndPosition[] = []
	for (const subject of Object.keys(state.subjects ?? {}).toSorted())
		positions.push({ subject, position: await positionOf(cluster, stream, subject, chainId) })
	return positions.sort((a, b) => newestFirst(a.position, b.position))
}

/**
 * Orders positions by last record, newest first. If the last records are equal, the older message is first.
 */
function newestFirst(a: StreamPosition, b: StreamPosition): number {
	const [last, other] = [a.last ?? { epoch: 0, seq: 0 }, b.last ?? { epoch: 0, seq: 0 }]
	return other.epoch - last.epoch || other.seq - last.seq || a.lastStreamSeq - b.lastStreamSeq
}

interface Newest {
	/** Newest message with records. */
	readonly message: StoredMsg | undefined
	/** See {@link StreamPosition.expectSeq}. */
	readonly expectSeq: number
}

/**
 * Finds the newest message with records under a subject. If the newest message was deleted, servers of
 * version 2.9 return no message, and compare expected sequences with 0. In that case, or if the newest
 * message is a fence, the function searches for the newest remaining message with records.
 *
 * @throws Errors from the client.
 */
export async function newestOf(cluster: Cluster, stream: string, subject: string): Promise<Newest> {
	const { streams } = cluster.manager
	const last = await streams.getMessage(stream, { last_by_subj: subject })
	if (last !== null && !isFence(last)) return { message: last, expectSeq: last.seq }
	const end = last?.seq ?? (await streams.info(stream)).state.last_seq + 1
	return { message: await lastBefore(cluster, stream, subject, end), expectSeq: last?.seq ?? 0 }
}

/** Returns the first message of a subject at or after a stream sequence. @throws Errors from the client. */
export async function nextOf(
	{ manager }: Cluster,
	stream: string,
	subject: string,
	from: number,
): Promise<StoredMsg | undefined> {
	// The type does not declare this query, but the servers accept it.
	const query = { seq: Math.max(1, from), next_by_subj: subject } as unknown as LastForMsgRequest
	return (await manager.streams.getMessage(stream, query)) ?? undefined
}

/** Returns the first message with records at or after a stream sequence. @throws Errors from the client. */
export async function nextWithRecords(
	cluster: Cluster,
	stream: string,
	subject: string,
	from: number,
): Promise<StoredMsg | undefined> {
	let message = await nextOf(cluster, stream, subject, from)
	while (message !== undefined && isFence(message))
		message = await nextOf(cluster, stream, subject, message.seq + 1)
	return message
}

/**
 * Searches for the last message with records before a stream sequence. The message is usually nearby, so the
 * search moves back in growing steps and then bisects the last step.
 */
async function lastBefore(
	cluster: Cluster,
	stream: string,
	subject: string,
	end: number,
): Promise<StoredMsg | undefined> {
	const firstFrom = async (from: number) => {
		const message = await nextWithRecords(cluster, stream, subject, from)
		return message !== undefined && message.seq < end ? message : undefined
	}
	let [low, high] = [end, end]
	let found: StoredMsg | undefined
	for (let step = LOOK_BACK; found === undefined && low > 1; step *= LOOK_BACK_GROWTH) {
		high = low - 1
		low = Math.max(1, low - step)
		found = await firstFrom(low)
	}
	while (found !== undefined && found.seq < high) {
		const middle: number = Math.floor((found.seq + high + 1) / 2)
		const later = await firstFrom(middle)
		if (later === undefined) high = middle - 1
		else found = later
	}
	return found
}

/**
 * Returns the size limits for messages, based on the limits of the server and the stream, and on the
 * requested size.
 */
export function limitsOf(cluster: Cluster, { config }: StreamInfo, messageBytes: number): MessageLimits {
	const payloadMax = cluster.connection.info?.max_payload ?? PAYLOAD_BYTES_DEFAULT
	const messageMax = config.max_msg_size > 0 ? Math.min(payloadMax, config.max_msg_size) : payloadMax
	const bytesMax = messageMax - HEADER_BYTES_MAX
	return { targetBytes: Math.min(messageBytes, Math.floor(bytesMax / 2)), bytesMax }
}
