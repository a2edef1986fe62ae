/**
 * Removals from a stream at any moment of a read: every seq that existed when the read began is in a record
 * or in a gap, or the read ends with an error that has a code.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { headers } from '@nats-io/transport-node'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { openStream, pullStream } from '../../src/cluster/index.ts'
import { MessageBuilder, type OutgoingMessage } from '../../src/cluster/message-builder.ts'
import { NO_SUMS, SUMS_HEADER } from '../../src/cluster/message-sums.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { isGap, type LogRecord } from '../../src/model/record.ts'
import { SEED } from '../support/counts.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

/**
 * With messages this large, readers ask for two messages ahead, so removed messages are not already in
 * memory.
 */
const server = natsForFile({ config: 'max_payload: 16MB' })

const CHAIN_ID = '0123456789abcdef0123456789abcdef'
const OTHER_ID = 'fedcba9876543210fedcba9876543210'
const MESSAGES = 40
const PER_MESSAGE = 5
const RECORDS = MESSAGES * PER_MESSAGE

function messagesFrom(fromSeq: number, count: number, chainId = CHAIN_ID): OutgoingMessage[] {
	const builder = new MessageBuilder(chainId, { targetBytes: 100_000, bytesMax: 500_000 }, NO_SUMS)
	return Array.from({ length: count }, (_unused, index) => {
		for (let row = 0; row < PER_MESSAGE; row++) builder.add(record(fromSeq + index * PER_MESSAGE + row))
		return builder.take()[0]!
	})
}

const FIRST = messagesFrom(1, MESSAGES)
const MORE = messagesFrom(RECORDS + 1, 1)
const OTHER = messagesFrom(1, 10, OTHER_ID)

async function publish(stream: string, messages: readonly OutgoingMessage[], chainId = CHAIN_ID) {
	for (const { body, sums } of messages) {
		const head = headers()
		head.set(SUMS_HEADER, JSON.stringify(sums))
		await server.client.publish(`${stream}.n.${chainId}`, body, { headers: head })
	}
}

async function makeStream(stream: string) {
	await server.manager.streams.add({ name: stream, subjects: [`${stream}.*.*`] })
}

let made = 0

async function newStream() {
	const stream = `r${++made}`
	await makeStream(stream)
	await publish(stream, FIRST.slice(0, 20))
	await publish(stream, OTHER, OTHER_ID)
	await publish(stream, FIRST.slice(20))
	return { stream, address: `${server.url}/${stream}` }
}

/** @param at Position in the stream, of 50. */
const REMOVALS: Readonly<Record<string, (stream: string, at: number) => Promise<unknown>>> = {
	'the subject is purged': (stream) =>
		server.manager.streams.purge(stream, { filter: `${stream}.n.${CHAIN_ID}` }),
	'everything is purged': (stream) => server.manager.streams.purge(stream),
	'everything before a position is purged': (stream, at) => server.manager.streams.purge(stream, { seq: at }),
	'all but some are purged': (stream, at) => server.manager.streams.purge(stream, { keep: at }),
	'a limit discards the oldest': (stream, at) =>
		server.manager.streams.update(stream, { max_msgs: Math.max(1, at) }),
	'one message is deleted': (stream, at) => server.manager.streams.deleteMessage(stream, Math.max(1, at)),
	'the last messages are deleted': async (stream, at) => {
		for (let seq = 50; seq > at; seq--) await server.manager.streams.deleteMessage(stream, seq)
	},
	'the stream is deleted': (stream) => server.manager.streams.delete(stream),
	'the stream is created again': async (stream) => {
		await server.manager.streams.delete(stream)
		await makeStream(stream)
	},
	'the stream is created again and filled': async (stream, at) => {
		await server.manager.streams.delete(stream)
		await makeStream(stream)
		await publish(stream, FIRST.slice(0, Math.max(1, at)))
	},
}

/** Calls `remove` after a number of records, or at the latest at the end. */
async function* removing(
	records: AsyncIterable<LogRecord>,
	moment: number,
	remove: () => Promise<unknown>,
): AsyncGenerator<LogRecord> {
	let count = 0
	if (moment === 0) await remove()
	for await (const each of records) {
		yield each
		if (!isGap(each) && ++count === moment) await remove()
	}
}

interface Reading {
	readonly address: string
	readonly moment: number
	readonly remove: () => Promise<unknown>
}

async function opened<T>(address: string, use: (chain: Chain) => Promise<T>): Promise<T> {
	const chain = await openStream(address)
	try {
		return await use(chain)
	} finally {
		await chain.close()
	}
}

const ALONE = `?chain=${CHAIN_ID}`

/** Each reader returns the records of the chain that it received. */
const READERS: Readonly<Record<string, (reading: Reading) => Promise<LogRecord[]>>> = {
	forward: ({ address, moment, remove }) =>
		opened(address + ALONE, (chain) => collect(removing(chain.records(), moment, remove))),
	backward: ({ address, moment, remove }) =>
		opened(address + ALONE, (chain) => collect(removing(chain.records({ reverse: true }), moment, remove))),
	'a part': ({ address, moment, remove }) =>
		opened(address + ALONE, async (chain) => {
			const early = messagesFrom(1, 10).flatMap((_message, index) => collectSeqs(index))
			const late = await collect(removing(chain.records({ fromSeq: 51 }), moment, remove))
			// Earlier records are not requested, and a gap may reach into the part.
			return [...early, ...late.map(cutTo(51))]
		}),
	merged: ({ address, moment, remove }) =>
		opened(address, async (chain) => {
			const all = await collect(removing(chain.records(), moment, remove))
			// Each record as it is in its chain.
			return all
				.filter(({ origin }) => origin!.chainId === CHAIN_ID)
				.map(({ origin, ...each }) => ({ ...each, seq: origin!.seq }))
		}),
	pull: async ({ address, moment, remove }) => {
		const into = join(temporaryFolder(), 'pulled')
		mkdirSync(into)
		let removal: Promise<unknown> | undefined
		try {
			await pullStream(address + ALONE, into, {
				onProgress: ({ records }) => {
					if (records >= moment) removal ??= remove()
				},
			})
		} finally {
			await removal
		}
		const chain = await openChain(join(into, 'n.chain'))
		try {
			return await collect(chain.records())
		} finally {
			await chain.close()
		}
	},
}

const collectSeqs = (index: number) =>
	Array.from({ length: PER_MESSAGE }, (_unused, row) => record(1 + index * PER_MESSAGE + row))

const cutTo = (fromSeq: number) => (each: LogRecord) =>
	isGap(each) ? { ...each, data: { ...each.data!, fromSeq: Math.max(fromSeq, each.data!.fromSeq) } } : each

/** Returns the outcome of each seq. */
function account(records: readonly LogRecord[]): string[] {
	const seqs: string[] = []
	const add = (seq: number, what: string) => {
		seqs[seq] = seqs[seq] === undefined ? what : `${seqs[seq]} and ${what}`
	}
	for (const each of records) {
		if (!isGap(each)) add(each.seq, 'given')
		else for (let seq = each.data!.fromSeq; seq <= each.data!.toSeq; seq++) add(seq, each.data!.cause)
	}
	return seqs.slice(1)
}

const CODES = ['STREAM_NOT_FOUND', 'STREAM_REPLACED', 'CHAIN_NOT_FOUND']

async function outcomeOf(reading: () => Promise<LogRecord[]>): Promise<LogRecord[] | string> {
	try {
		return await reading()
	} catch (error) {
		if (error instanceof MeshChainError && CODES.includes(error.code)) return error.code
		throw error
	}
}

describe.each(Object.keys(READERS))('read %s', (reader) => {
	test.each(Object.keys(REMOVALS))(
		'%s at any moment: a read never ends early as if it were complete',
		async (removal) => {
			const arbitrary = [fc.integer({ min: 0, max: RECORDS }), fc.integer({ min: 0, max: 50 })] as const
			await fc.assert(
				fc.asyncProperty(...arbitrary, async (moment, at) => {
					const { stream, address } = await newStream()
					const remove = () => REMOVALS[removal]!(stream, at)
					const outcome = await outcomeOf(() => READERS[reader]!({ address, moment, remove }))
					await server.manager.streams.delete(stream).catch(() => {})
					if (typeof outcome === 'string') return
					const seqs = account(outcome)
					// If records are removed before the first read, their existence is unknown.
					if (moment > 0) expect(seqs).toHaveLength(RECORDS)
					for (const what of new Set(seqs)) expect(['given', 'retained']).toContain(what)
				}),
				{ numRuns: removal.startsWith('the stream') ? 1 : 4, seed: SEED, endOnFailure: true },
			)
		},
	)
})

describe.each([false, true])('a part up to a seq, backward: %s', (reverse) => {
	const removals = Object.keys(REMOVALS).filter((removal) => !removal.startsWith('the stream'))
	test.each(removals)(
		'%s: every seq of the part is accounted for, and no gap exceeds it',
		async (removal) => {
			const arbitrary = [
				fc.integer({ min: 1, max: RECORDS }),
				fc.integer({ min: 1, max: 20 }),
				fc.integer({ min: 0, max: 50 }),
			] as const
			await fc.assert(
				fc.asyncProperty(...arbitrary, async (toSeq, moment, at) => {
					const { stream, address } = await newStream()
					const remove = () => REMOVALS[removal]!(stream, at)
					const records = await opened(address + ALONE, (chain) =>
						collect(removing(chain.records({ toSeq, reverse }), Math.min(moment, toSeq), remove)),
					)
					await server.manager.streams.delete(stream)
					const seqs = account(records)
					expect(seqs).toHaveLength(toSeq)
					for (const what of new Set(seqs)) expect(['given', 'retained']).toContain(what)
					for (const gap of records.filter(isGap)) {
						const { fromSeq, count } = gap.data!
						expect([gap.seq, count]).toEqual([gap.data!.toSeq, gap.seq - fromSeq + 1])
					}
				}),
				{ numRuns: 4, seed: SEED, endOnFailure: true },
			)
		},
	)

	test.each([1, 99, 100, RECORDS - 1, RECORDS])('after a purge, a gap ends exactly at %i', async (toSeq) => {
		const { stream, address } = await newStream()
		await opened(address + ALONE, async (chain) => {
			expect((await chain.info()).records).toBe(RECORDS)
			await server.manager.streams.purge(stream)
			const records = await collect(chain.records({ toSeq, reverse }))
			expect(records.map(({ seq, data }) => [seq, data])).toEqual([
				[toSeq, { fromSeq: 1, toSeq, count: toSeq, cause: 'retained' }],
			])
		})
	})
})

describe('a tail', () => {
	const outcomes = Object.keys(REMOVALS).map(
		(removal) => [removal, removal.startsWith('the stream')] as const,
	)

	test.each(outcomes)(
		'%s: later records follow a gap, or the tail ends with an error code',
		async (removal, ends) => {
			const { stream, address } = await newStream()
			const over = new AbortController()
			const reading = opened(address + ALONE, async (chain) => {
				const records: LogRecord[] = []
				for await (const each of chain.tail({ signal: over.signal })) {
					records.push(each)
					if (records.length === 30) {
						await REMOVALS[removal]!(stream, 25)
						if (!ends) await publish(stream, MORE)
					}
					if (each.seq === RECORDS + PER_MESSAGE) over.abort()
				}
				return records
			})
			const outcome = await outcomeOf(() => reading)
			if (ends) expect(CODES).toContain(outcome)
			else {
				expect(account(outcome as LogRecord[])).toHaveLength(RECORDS + PER_MESSAGE)
				for (const what of account(outcome as LogRecord[])) expect(['given', 'retained']).toContain(what)
			}
		},
	)
})

test('a chain that was seen and then removed is a gap, not an empty chain', async () => {
	const { stream, address } = await newStream()
	await opened(address + ALONE, async (chain) => {
		expect((await chain.info()).records).toBe(RECORDS)
		await server.manager.streams.purge(stream)
		for (const query of [{}, { reverse: true }]) {
			const records = await collect(chain.records(query))
			expect(records.map(({ data }) => data)).toEqual([
				{ fromSeq: 1, toSeq: RECORDS, count: RECORDS, cause: 'retained' },
			])
		}
		expect(await chain.info()).toMatchObject({ records: 0, gaps: { records: RECORDS } })
	})
})
