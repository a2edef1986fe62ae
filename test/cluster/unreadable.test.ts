/**
 * Streams with messages that no forwarder sent: each is reported, and every existing record is returned once.
 */
import { headers } from '@nats-io/transport-node'
import { describe, expect, test } from 'vitest'
import type { ChainQuery } from '../../src/chain/chain.ts'
import { openStream } from '../../src/cluster/index.ts'
import { MessageBuilder } from '../../src/cluster/message-builder.ts'
import { NO_SUMS, parseSums, SUMS_HEADER } from '../../src/cluster/message-sums.ts'
import { isGap, type LogRecord } from '../../src/model/record.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { meshChain } from '../support/process.ts'
import { collect, record } from '../support/records.ts'

const server = natsForFile()

const CHAIN_ID = '0123456789abcdef0123456789abcdef'
const OTHER_ID = 'fedcba9876543210fedcba9876543210'

interface Message {
	readonly body: Uint8Array
	readonly sums?: string
}

function run(fromSeq: number, toSeq: number): LogRecord[] {
	return Array.from({ length: toSeq - fromSeq + 1 }, (_unused, index) =>
		record(fromSeq + index, { message: `line ${fromSeq + index}` }),
	)
}

/** The messages of a chain, with the given numbers of records. */
function messagesOf(counts: readonly number[], chainId = CHAIN_ID): Message[] {
	const builder = new MessageBuilder(chainId, { targetBytes: 100_000, bytesMax: 500_000 }, NO_SUMS)
	let seq = 0
	return counts.flatMap((count) => {
		for (const each of run(seq + 1, seq + count)) builder.add(each)
		seq += count
		return builder.take().map(({ body, sums }) => ({ body, sums: JSON.stringify(sums) }))
	})
}

const GARBAGE: Message = { body: Buffer.from('no frame') }

let made = 0

/** A stream with these messages of one chain. */
async function streamOf(messages: readonly Message[], chainId = CHAIN_ID) {
	const stream = `u${++made}`
	await server.manager.streams.add({ name: stream, subjects: [`${stream}.*.*`] })
	const publish = async ({ body, sums }: Message, id = chainId) => {
		const head = headers()
		if (sums !== undefined) head.set(SUMS_HEADER, sums)
		await server.client.publish(`${stream}.n.${id}`, body, { headers: head })
	}
	for (const message of messages) await publish(message)
	return { address: `${server.url}/${stream}`, stream, publish }
}

/** Returns what a reader receives, with gaps as `from-to cause`, and the warnings. */
async function readFrom(address: string, query: ChainQuery = {}) {
	const warnings: string[] = []
	const warned = (warning: Error & { readonly code?: string }) =>
		void warnings.push(`${warning.code}: ${warning.message}`)
	process.on('warning', warned)
	const chain = await openStream(address)
	try {
		const records = await collect(chain.records(query))
		const { damagedBytes } = await chain.end()
		await new Promise((resolve) => setImmediate(resolve))
		const given = records.map((each) => {
			const { fromSeq, toSeq, cause } = isGap(each) ? each.data! : {}
			return isGap(each) ? `${fromSeq}-${toSeq} ${cause}` : each.seq
		})
		return { given, damagedBytes, warnings }
	} finally {
		process.off('warning', warned)
		await chain.close()
	}
}

const seqs = (from: number, to: number) => run(from, to).map(({ seq }) => seq)

describe('messages that cannot be read', () => {
	const [first, second, third, fourth] = messagesOf([10, 10, 10, 10]) as [Message, Message, Message, Message]
	const half = (message: Message) => ({ ...message, body: message.body.subarray(0, -3) })

	test.each<[string, Message[], (string | number)[], number]>([
		['in between', [first, half(second), third], [...seqs(1, 10), '11-20 damaged', ...seqs(21, 30)], 1],
		['at the start', [GARBAGE, second], ['1-10 damaged', ...seqs(11, 20)], 8],
		['at the end', [first, GARBAGE], seqs(1, 10), 8],
		['with nothing missing', [first, GARBAGE, GARBAGE, second], seqs(1, 20), 16],
		['of another chain', [first, messagesOf([10], OTHER_ID)[0]!, second], seqs(1, 20), 1],
		['alone', [GARBAGE], [], 8],
	])(
		'%s become a gap if records are missing, and are always reported',
		async (_what, messages, given, bytes) => {
			const { address, stream } = await streamOf(messages)
			const found = await readFrom(address)
			expect(found.given).toEqual(given)
			expect(found.damagedBytes).toBeGreaterThanOrEqual(bytes)
			expect(found.warnings).toEqual([
				expect.stringMatching(
					new RegExp(`^MESH_CHAIN_STREAM_DAMAGED: message \\d in the stream "${stream}", .* cannot be read`),
				),
			])
			const backward = await readFrom(address, { reverse: true })
			expect(backward.given).toEqual(given.toReversed())
			expect(backward.damagedBytes).toBe(found.damagedBytes)
		},
	)

	test('are gaps even for a reader of a part, wherever the part begins', async () => {
		const { address } = await streamOf([first, half(second), third, half(fourth)])
		expect((await readFrom(address, { fromSeq: 15 })).given).toEqual(['11-20 damaged', ...seqs(21, 30)])
		expect((await readFrom(address, { toSeq: 20 })).given).toEqual([...seqs(1, 10), '11-20 damaged'])
	})

	test('are gaps between two groups of a backward read', async () => {
		const { publish, address } = await streamOf([first, GARBAGE])
		for (let index = 0; index < 70; index++) await publish(GARBAGE, OTHER_ID)
		await publish(third)
		expect((await readFrom(`${address}?chain=${CHAIN_ID}`, { reverse: true })).given).toEqual([
			...seqs(21, 30).reverse(),
			'11-20 damaged',
			...seqs(1, 10).reverse(),
		])
	})

	test('make commands end with status 3, like damage in a file, and info counts them', async () => {
		const { address } = await streamOf([first, GARBAGE])
		const [dump, exported, info, alone] = await Promise.all([
			meshChain(['dump', address]),
			meshChain(['export', address]),
			meshChain(['info', address]),
			streamOf([GARBAGE]).then((other) => meshChain(['info', other.address])),
		])
		for (const { status, stdout, stderr } of [dump, exported]) {
			expect([status, stdout.trim().split('\n').length]).toEqual([3, 10])
			expect(stderr).toContain(`mesh-chain: ${address}: 8 bytes of message data cannot be read\n`)
		}
		expect([info.status, info.stdout]).toEqual([3, expect.stringMatching(/^records +10, seq 1 to 10$/m)])
		expect(info.stdout).toMatch(/^damage +8 bytes in 1 message$/m)
		expect([alone.status, alone.stdout]).toEqual([3, expect.stringMatching(/^records +none$/m)])
	})
})

test('nothing is reported for a stream without foreign messages, whatever part is read', async () => {
	const messages = messagesOf([10, 1, 5, 10])
	const { address: whole, publish } = await streamOf([])
	const address = `${whole}?chain=${CHAIN_ID}`
	// Messages of another chain precede each one, so that stream sequences differ from positions in the
	// chain.
	for (const message of messages) {
		for (const other of messagesOf([1, 1, 1], OTHER_ID)) await publish(other, OTHER_ID)
		await publish(message)
	}
	const last = run(26, 26)[0]!.tsMs
	const parts: ChainQuery[] = [1, 5, 10, 11, 12, 16, 17, 26, 27, 1_000].map((fromSeq) => ({ fromSeq }))
	for (const sinceMs of [0, last, last + 1, last + 1_000]) parts.push({ since: sinceMs })
	for (const part of parts)
		for (const reverse of [false, true]) {
			const { given, warnings } = await readFrom(address, { ...part, reverse })
			const { fromSeq = 1 } = part
			const sinceMs = Number(part.since ?? 0)
			const wanted =
				sinceMs > last ? [] : run(1, 26).filter(({ seq, tsMs }) => seq >= fromSeq && tsMs >= sinceMs)
			expect([part, given.toSorted((a, b) => Number(a) - Number(b)), warnings]).toEqual([
				part,
				wanted.map(({ seq }) => seq),
				[],
			])
		}
})

test.each([false, true])('repeated records are returned once, and reported: reverse %s', async (reverse) => {
	const [first, second] = messagesOf([10, 10]) as [Message, Message]
	const { address } = await streamOf([first, second, first, second, first])
	const { given, damagedBytes, warnings } = await readFrom(address, { reverse })
	expect(given).toEqual(reverse ? seqs(1, 20).reverse() : seqs(1, 20))
	expect([damagedBytes, warnings]).toEqual([
		0,
		[expect.stringMatching(/^MESH_CHAIN_STREAM_REPEATS: message 3 .* Each record is returned once$/)],
	])
})

describe('the sums in the messages of a chain', () => {
	test('are correct between foreign messages', async () => {
		const [first, second] = messagesOf([10, 300]) as [Message, Message]
		const { address, publish } = await streamOf([GARBAGE, first, second, ...Array(5).fill(GARBAGE)])
		for (let index = 0; index < 200; index++) await publish(GARBAGE, OTHER_ID)
		const chain = await openStream(`${address}?chain=${CHAIN_ID}`)
		expect(await chain.info()).toMatchObject({
			records: 310,
			firstSeq: 1,
			lastSeq: 310,
			damagedPlaces: 6,
			damagedBytes: 48,
		})
		await chain.close()
	})

	test.each([
		['none', undefined],
		['no JSON', '{'],
		['too little', '{"records":5,"levels":[]}'],
		['a negative number', JSON.stringify({ ...NO_SUMS, records: -1 })],
		['no causes', JSON.stringify({ ...NO_SUMS, absent: null })],
		['a text', JSON.stringify({ ...NO_SUMS, levels: ['', '', '', '', ''] })],
	])('are counted from the records if a header is missing or invalid: %s', async (_what, sums) => {
		expect(parseSums(sums)).toBeUndefined()
		const [first, second, third] = messagesOf([10, 10, 5]) as [Message, Message, Message]
		const foreign = ({ body }: Message) => (sums === undefined ? { body } : { body, sums })
		for (const messages of [
			[first, foreign(second), foreign(third)],
			[foreign(first), foreign(second), foreign(third)],
		]) {
			const { address } = await streamOf(messages)
			const chain = await openStream(address)
			expect(await chain.info()).toMatchObject({
				records: 25,
				lastSeq: 25,
				levels: { info: 25 },
				gaps: { count: 0 },
			})
			await chain.close()
		}
	})
})
