/**
 * Decodes the messages of a stream. The body of a message consists of frames in the format of a chain file.
 * All frames are from the same chain, and are in chain order. Their checksums are computed as if the frames
 * were in the first file of the chain, at their offsets in the message.
 */
import {
	claimedLength,
	decodeFrame,
	FRAME_FIXED_BYTES,
	type Frame,
	identityChecksum,
	looksLikeFrame,
	rowsOf,
} from '../chain/index.ts'
import type { LogRecord } from '../model/record.ts'

/** The frames of one message. */
export interface MessageFrames {
	/** Frames before the first one that does not verify. */
	readonly frames: readonly Frame[]
	/** Whether the message consists only of these frames. */
	readonly isWhole: boolean
}

/**
 * Returns whether a message is a fence, which has no body. A `Publisher` sends fences before its first
 * message.
 */
export function isFence({ data }: { readonly data: Uint8Array }): boolean {
	return data.length === 0
}

/** Decodes the frames of a message in order. Stops at the first frame that does not verify. */
export function framesOf(body: Uint8Array, chainId: string): MessageFrames {
	const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
	const idChecksum = identityChecksum(Buffer.from(chainId, 'hex'), 0)
	const frames: Frame[] = []
	let at = 0
	while (bytes.length - at >= FRAME_FIXED_BYTES && looksLikeFrame(bytes, at)) {
		const length = claimedLength(bytes, at)
		if (length === undefined || at + length > bytes.length) break
		const frame = decodeFrame(bytes, at, length, at, idChecksum)
		if (frame !== undefined) frames.push(frame)
		else return { frames, isWhole: false }
		at += length
	}
	return { frames, isWhole: at === bytes.length && frames.length > 0 }
}

/** Returns all records of a message; undefined if part of it cannot be read. */
export function recordsOf({ frames, isWhole }: MessageFrames): LogRecord[] | undefined {
	const records: LogRecord[] = []
	for (const frame of frames) {
		const rows = rowsOf(frame)
		if (rows === undefined) return undefined
		for (const record of rows) records.push(record)
	}
	return isWhole ? records : undefined
}
