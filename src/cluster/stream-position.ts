/** Where a chain stands in a stream, and what a message may hold there. */
import type { LastForMsgRequest, StoredMsg, StreamInfo } from '@nats-io/jetstream'
import type { Frame } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import type { Cluster } from './connection.ts'
import { framesOf, isFence, type MessageLimits, NO_SUMS, SUMS_HEADER, type Sums, sumsOf } from './message.ts'
import { unreachable } from './stream.ts'

/** Room for the headers and the subject of a message beside its body. */
const HEADER_BYTES_MAX = 8 * 1024
const PAYLOAD_BYTES_DEFAULT = 1024 * 1024
/** How far before the end the last message is looked for at first, and how much further each time. */
const LOOK_BACK = 64
const LOOK_BACK_GROWTH = 8

export interface LastMessage {
	readonly frames: readonly Frame[]
	/** Of its last record. */
	readonly epoch: number
	readonly seq: number
	/** Of the chain up to and with it. */
	readonly sums: Sums
}

/** Where a chain stands in a stream. */
export interface StreamPosition {
	/** Undefined where no message of the chain is there. */
	readonly last: LastMessage | undefined
	/** Where that one is in the stream; 0 where there is none. */
	readonly lastStreamSeq: number
	/** What a message must expect to come behind all of the chain, as the servers have it when they compare. */
	readonly expectSeq: number
}

/** @throws {MeshChainError} `CLUSTER_UNREACHABLE`; `STREAM_UNFIT` where the last message is no part of the chain. */
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
			`message ${message.seq} of the stream ${show(stream)} has the subject of this chain, ${subject}, and is no part of it: find out who else publishes there, and delete that message (nats stream rmm ${stream} ${message.seq})`,
		)
	}
	const sums = sumsOf(message.header?.get(SUMS_HEADER)) ?? NO_SUMS
	const last = { frames, epoch: frame.epoch, seq: frame.baseSeq + frame.rows - 1, sums }
	return { last, lastStreamSeq: message.seq, expectSeq }
}

/** A subject, and where the chain stands under it. */
export interface SubjectAndPosition {
	readonly subject: string
	readonly place: StreamPosition
}

/**
 * Where a chain is in a stream: under each subject that it has there, whatever its node is called by now. The one with the
 * newest record comes first: there the chain goes on.
 *
 * @param prefix of the subjects that are looked at.
 * @throws {MeshChainError} as {@link positionOf}.
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
	const places: SubjectAndPosition[] = []
	for (const subject of Object.keys(state.subjects ?? {}).toSorted())
		places.push({ subject, place: await positionOf(cluster, stream, subject, chainId) })
	return places.sort((a, b) => newestFirst(a.place, b.place))
}

/** Of two that have the same, the one that had it first. */
function newestFirst(a: StreamPosition, b: StreamPosition): number {
	const [last, other] = [a.last ?? { epoch: 0, seq: 0 }, b.last ?? { epoch: 0, seq: 0 }]
	return other.epoch - last.epoch || other.seq - last.seq || a.lastStreamSeq - b.lastStreamSeq
}

interface Newest {
	/** The newest one with records. */
	readonly message: StoredMsg | undefined
	readonly expectSeq: number
}

/**
 * The newest message of a subject that holds records. Servers of version 2.9 know none, and compare with 0, where the newest one was deleted: then it is looked for
 * among the others.
 *
 * @throws what the client throws.
 */
export async function newestOf(cluster: Cluster, stream: string, subject: string): Promise<Newest> {
	const { streams } = cluster.manager
	const last = await streams.getMessage(stream, { last_by_subj: subject })
	if (last !== null && !isFence(last)) return { message: last, expectSeq: last.seq }
	const end = last?.seq ?? (await streams.info(stream)).state.last_seq + 1
	return { message: await lastBefore(cluster, stream, subject, end), expectSeq: last?.seq ?? 0 }
}

/** The first message of a subject at a place of the stream or behind it. @throws what the client throws. */
export async function nextOf(
	{ manager }: Cluster,
	stream: string,
	subject: string,
	from: number,
): Promise<StoredMsg | undefined> {
	// Its type knows one query less than the servers.
	const query = { seq: Math.max(1, from), next_by_subj: subject } as unknown as LastForMsgRequest
	return (await manager.streams.getMessage(stream, query)) ?? undefined
}

/** The same, of those that hold records. @throws what the client throws. */
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

/** The last message with records before a place: near that mostly, so it is looked for in longer and longer steps, and then between two of them. */
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

/** What the servers take, and what is wanted. */
export function limitsOf(cluster: Cluster, { config }: StreamInfo, messageBytes: number): MessageLimits {
	const payloadMax = cluster.connection.info?.max_payload ?? PAYLOAD_BYTES_DEFAULT
	const messageMax = config.max_msg_size > 0 ? Math.min(payloadMax, config.max_msg_size) : payloadMax
	const bytesMax = messageMax - HEADER_BYTES_MAX
	return { targetBytes: Math.min(messageBytes, Math.floor(bytesMax / 2)), bytesMax }
}
