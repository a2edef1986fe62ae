/** Where a chain stands in a stream, and what a message may hold there. */
import type { LastForMsgRequest, StoredMsg, StreamInfo } from '@nats-io/jetstream'
import { MeshChainError } from '../errors.ts'
import { show } from '../record.ts'
import type { Cluster } from './connection.ts'
import { framesOf, type MessageLimits, NO_SUMS, SUMS_HEADER, type Sums, sumsOf } from './message.ts'
import { unreachable } from './stream.ts'

/** Room for the headers and the subject of a message beside its body. */
const HEADER_BYTES_MAX = 8 * 1024
const PAYLOAD_BYTES_DEFAULT = 1024 * 1024

export interface LastMessage {
	/** Of its last record. */
	readonly epoch: number
	readonly seq: number
	/** What a message must expect to come behind it. */
	readonly streamSeq: number
	/** Of the chain up to and with it. */
	readonly sums: Sums
}

/**
 * The chain's last message in the stream; undefined where there is none.
 *
 * @throws {MeshChainError} `CLUSTER_UNREACHABLE`; `STREAM_UNFIT` where it is no part of the chain.
 */
export async function lastMessage(
	cluster: Cluster,
	stream: string,
	subject: string,
	chainId: string,
): Promise<LastMessage | undefined> {
	const newest = await newestOf(cluster, stream, subject).catch((error) => {
		throw unreachable(cluster, stream, error)
	})
	if (newest === undefined) return undefined
	const { message: last, expectSeq: streamSeq } = newest
	const { frames, isWhole } = framesOf(last.data, chainId)
	const frame = frames.at(-1)
	if (frame === undefined || !isWhole) {
		throw new MeshChainError(
			'STREAM_UNFIT',
			`message ${last.seq} of the stream ${show(stream)} has the subject of this chain, ${subject}, and is no part of it: find out who else publishes there, and delete that message (nats stream rmm ${stream} ${last.seq})`,
		)
	}
	const sums = sumsOf(last.header?.get(SUMS_HEADER)) ?? NO_SUMS
	return { epoch: frame.epoch, seq: frame.baseSeq + frame.rows - 1, streamSeq, sums }
}

export interface NewestMessage {
	readonly message: StoredMsg
	/** Its place, as the servers have it when they compare what a new one expects. */
	readonly expectSeq: number
}

/**
 * The newest message of a subject. Servers of version 2.9 know none, and compare with 0, where the newest one was deleted: then it is looked for among the others.
 *
 * @throws what the client throws.
 */
export async function newestOf(
	{ manager: { streams } }: Cluster,
	stream: string,
	subject: string,
): Promise<NewestMessage | undefined> {
	const last = await streams.getMessage(stream, { last_by_subj: subject })
	if (last !== null) return { message: last, expectSeq: last.seq }
	// Its type knows one query less than the servers.
	const firstFrom = (seq: number) =>
		streams.getMessage(stream, { seq, next_by_subj: subject } as unknown as LastForMsgRequest)
	let message = await firstFrom(1)
	if (message === null) return undefined
	let high = (await streams.info(stream)).state.last_seq
	while (message.seq < high) {
		const middle: number = Math.floor((message.seq + high + 1) / 2)
		const found = await firstFrom(middle)
		if (found === null) high = middle - 1
		else message = found
	}
	return { message, expectSeq: 0 }
}

/** What the servers take, and what is wanted. */
export function limitsOf(cluster: Cluster, { config }: StreamInfo, messageBytes: number): MessageLimits {
	const payloadMax = cluster.connection.info?.max_payload ?? PAYLOAD_BYTES_DEFAULT
	const messageMax = config.max_msg_size > 0 ? Math.min(payloadMax, config.max_msg_size) : payloadMax
	const bytesMax = messageMax - HEADER_BYTES_MAX
	return { targetBytes: Math.min(messageBytes, Math.floor(bytesMax / 2)), bytesMax }
}
