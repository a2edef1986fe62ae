/** Fills messages with pending records. */
import type { Publisher } from './exactly-once-publisher.ts'
import type { MessageBuilder } from './message-builder.ts'
import type { PendingRecords } from './pending-records.ts'

/** Options for filling messages with records. */
export interface FillOptions {
	/** Size in bytes above which a batch starts a new message, so that all of it fits. */
	readonly batchBytes: number
	readonly builder: MessageBuilder
	readonly publisher: Publisher
}

/**
 * Adds all records from a position onward to messages, and sends the messages that are full. A batch stays in
 * one message, which may be larger than the others, unless the servers do not accept a message of that size.
 *
 * @returns The position after the last record.
 */
export async function fillMessages(
	pending: PendingRecords,
	from: number,
	{ batchBytes, builder, publisher }: FillOptions,
): Promise<number> {
	let position = from
	let batchEnd = -1
	for (; position < pending.end; position++) {
		const record = pending.at(position)
		const batch = pending.batchFrom(position)
		const needsOwn = batch !== undefined && batch.bytes > batchBytes
		if (needsOwn) await publishOpen(builder, publisher)
		builder.add(record)
		if (batch !== undefined) batchEnd = batch.to
		if (builder.isFull && position >= batchEnd) await publishOpen(builder, publisher)
	}
	return position
}

/** Sends everything in the builder, even if the last message is not full. */
export async function publishOpen(builder: MessageBuilder, publisher: Publisher): Promise<void> {
	for (const message of builder.take()) await publisher.publish(message)
}
