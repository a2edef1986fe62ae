/** Puts what waits into messages. */
import type { MessageBuilder } from './message.ts'
import type { PendingRecords } from './pending-records.ts'
import type { Publisher } from './publisher.ts'

/**
 * Everything from a position on goes into messages, and the full ones of these are sent. A batch is not parted: a message may be longer than others for it.
 *
 * @param batchBytes above it a batch begins a message of its own, so that it fits.
 * @returns the position behind all of it.
 */
export async function fillMessages(
	pending: PendingRecords,
	from: number,
	batchBytes: number,
	builder: MessageBuilder,
	publisher: Publisher,
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

/** What is open in the builder, if anything. */
export async function publishOpen(builder: MessageBuilder, publisher: Publisher): Promise<void> {
	for (const message of builder.take()) await publisher.publish(message)
}
