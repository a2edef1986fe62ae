/** Where a chain stands in a stream, and what a message may hold there. */
import type { StreamInfo } from '@nats-io/jetstream'
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
	const last = await cluster.manager.streams.getMessage(stream, { last_by_subj: subject }).catch((error) => {
		throw unreachable(cluster, stream, error)
	})
	if (last === null) return undefined
	const { frames, isWhole } = framesOf(last.data, chainId)
	const frame = frames.at(-1)
	if (frame === undefined || !isWhole) {
		throw new MeshChainError(
			'STREAM_UNFIT',
			`message ${last.seq} of the stream ${show(stream)} has the subject of this chain, ${subject}, and is no part of it: somebody else publishes there`,
		)
	}
	const sums = sumsOf(last.header?.get(SUMS_HEADER)) ?? NO_SUMS
	return { epoch: frame.epoch, seq: frame.baseSeq + frame.rows - 1, streamSeq: last.seq, sums }
}

/** What the servers take, and what is wanted. */
export function limitsOf(cluster: Cluster, { config }: StreamInfo, messageBytes: number): MessageLimits {
	const payloadMax = cluster.connection.info?.max_payload ?? PAYLOAD_BYTES_DEFAULT
	const messageMax = config.max_msg_size > 0 ? Math.min(payloadMax, config.max_msg_size) : payloadMax
	const bytesMax = messageMax - HEADER_BYTES_MAX
	return { targetBytes: Math.min(messageBytes, Math.floor(bytesMax / 2)), bytesMax }
}
