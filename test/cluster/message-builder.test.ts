/** Messages that are built from records and frames: limits of size, and frames that cannot be decoded. */
import { expect, test } from 'vitest'
import { claimedLength, decodeFrame, FLAG_CONTROL, identityChecksum, rowsOf } from '../../src/chain/index.ts'
import { framesOf, recordsOf } from '../../src/cluster/message.ts'
import { MessageBuilder } from '../../src/cluster/message-builder.ts'
import { NO_SUMS } from '../../src/cluster/message-sums.ts'
import { isGap } from '../../src/model/record.ts'
import { Forge } from '../oracle/format-oracle.mjs'
import { record } from '../support/records.ts'

const CHAIN_ID = '0123456789abcdef0123456789abcdef'
const LIMITS = { targetBytes: 4_000, bytesMax: 8_000 }

test('each record that is too large for any message is reported by its own seq', () => {
	const builder = new MessageBuilder(CHAIN_ID, LIMITS, NO_SUMS)
	const tooLarge = [2, 3, 7]
	for (let seq = 1; seq <= 9; seq++) {
		builder.add(record(seq, { message: tooLarge.includes(seq) ? 'x'.repeat(10_000) : `line ${seq}` }))
	}
	const messages = builder.take()
	expect(messages.flatMap((message) => message.tooLarge)).toEqual(tooLarge)
	const records = messages.flatMap(({ body }) => recordsOf(framesOf(body, CHAIN_ID)) ?? [])
	expect(records.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
	expect(records.filter(isGap).map(({ data }) => data?.fromSeq)).toEqual(tooLarge)
})

test('a frame that claims kinds of mesh-chain, but contains no records, becomes a gap', () => {
	const forge = new Forge({ id: Buffer.from(CHAIN_ID, 'hex') })
	const offsets = [
		forge.frame([{ tsMs: 1, level: 2, message: 'first' }]),
		forge.frame([], { rows: [['x'], ['y']], flags: FLAG_CONTROL | 4 }),
		forge.frame([{ tsMs: 2, level: 2, message: 'last' }]),
	]
	const bytes = forge.file.bytes()
	const checksum = identityChecksum(Buffer.from(CHAIN_ID, 'hex'), 0)
	const frames = offsets.map((at) => decodeFrame(bytes, at, claimedLength(bytes, at)!, at, checksum)!)
	expect(frames.map((frame) => rowsOf(frame) === undefined)).toEqual([false, true, false])
	const builder = new MessageBuilder(CHAIN_ID, LIMITS, NO_SUMS)
	for (const frame of frames) builder.addFrame(frame)
	const messages = builder.take()
	const records = messages.flatMap(({ body }) => recordsOf(framesOf(body, CHAIN_ID)) ?? [])
	expect(records.map((each) => (isGap(each) ? each.data : each.message))).toEqual([
		'first',
		{ fromSeq: 2, toSeq: 3, count: 2, cause: 'damaged' },
		'last',
	])
	expect(messages.at(-1)?.sums).toMatchObject({ records: 2, gaps: 1, absent: { damaged: 2 } })
})
