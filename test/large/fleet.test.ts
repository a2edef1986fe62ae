/**
 * A fleet: 150 subjects of a real nats-server that is killed and restarted, and 50 addresses of a real HTTP
 * server, some of which fail, hang or are missing. Every received sample is in the chain or in a counter,
 * also across restarts of the manager.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { droppedTotal, type SourceCounts } from '../../src/sources/counters.ts'
import {
	fromHttp,
	fromNats,
	readRegistry,
	type Sample,
	type SampleData,
	type Source,
	type SourceEntry,
	SourceManager,
} from '../../src/sources/index.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { freePort } from '../support/free-port.ts'
import { type NatsServer, startNats } from '../support/nats-server.ts'
import { temporaryFolder } from '../support/temporary.ts'

const SUBJECTS = 150
const ADDRESSES = 50
/** Number of connections. Each has a third of the subjects. */
const CONNECTIONS = 3
const QUIET_ROUNDS = 20
const SCAN_MS = 100
/**
 * Small enough for the flood to fill it, large enough for the other samples of one turn on a busy machine.
 */
const QUEUE_SAMPLES = 20_000
/** Number of messages that a flooding source publishes at once. */
const FLOOD = 60_000
const FLOOD_MAX = 8 * FLOOD
const DAY_MS = 86_400_000

type Kind = 'flood' | 'clock years off' | 'garbage' | 'changing type' | 'own clock' | 'plain'

/** Publishes under one subject. The sequence number is the value or part of it. */
class Publisher {
	readonly kind: Kind
	readonly subject: string
	seq = 0
	/** Valid samples of the quiet phases. None of them may be missing. */
	readonly owed: number[] = []
	readonly #encoder = new TextEncoder()

	constructor(index: number) {
		this.kind = kindOf(index)
		this.subject = `fleet.${index}`
	}

	/**
	 * Returns whether a sample is valid. For some subjects every second sample is garbage or has another
	 * type.
	 */
	isGood(seq: number): boolean {
		return seq % 2 === 1 || (this.kind !== 'garbage' && this.kind !== 'changing type')
	}

	publish(connection: NatsConnection, isQuiet: boolean): void {
		const seq = ++this.seq
		connection.publish(this.subject, this.#encoder.encode(this.#text(seq)))
		if (isQuiet && this.isGood(seq) && this.kind !== 'clock years off') this.owed.push(seq)
	}

	#text(seq: number): string {
		if (this.kind === 'own clock') return JSON.stringify({ seq, tsMs: Date.now() })
		if (this.kind === 'clock years off') return JSON.stringify({ seq, tsMs: Date.now() - 2000 * DAY_MS })
		if (this.isGood(seq)) return String(seq)
		return this.kind === 'garbage' ? '{"seq":' : JSON.stringify(String(seq))
	}
}

function kindOf(index: number): Kind {
	if (index === 0) return 'flood'
	if (index === 1) return 'clock years off'
	if (index < 10) return index % 2 === 0 ? 'garbage' : 'changing type'
	return index < 30 ? 'own clock' : 'plain'
}

function withClock(message: { json(): unknown }): Sample {
	const { seq, tsMs } = message.json() as { readonly seq: number; readonly tsMs: number }
	return { value: seq, tsMs }
}

type Answer = 'ok' | '500' | 'hangs' | 'flaps' | 'refused'

function answerOf(index: number): Answer {
	if (index < 30) return 'ok'
	return (['500', 'hangs', 'flaps', 'refused'] as const)[index % 4]!
}

/** Starts addresses on one server. Each counts its responses with status 200. */
async function startAddresses(): Promise<{ readonly url: string; readonly answered: readonly number[] }> {
	const asked = new Array<number>(ADDRESSES).fill(0)
	const answered = new Array<number>(ADDRESSES).fill(0)
	const answer = (index: number, response: ServerResponse) => {
		const kind = answerOf(index)
		asked[index]!++
		if (kind === 'hangs') return
		if (kind === 'flaps' && asked[index]! % 3 === 0) return void response.destroy()
		response.statusCode = kind === '500' ? 500 : 200
		response.setHeader('content-type', 'application/json')
		response.end(JSON.stringify({ seq: kind === '500' ? 0 : ++answered[index]! }))
	}
	const server = createServer((request, response) => answer(Number(request.url?.slice(1)), response))
	server.listen(0, '127.0.0.1')
	await once(server, 'listening')
	onTestFinished(() => {
		server.close()
		server.closeAllConnections()
	})
	return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, answered }
}

/** A sample of one source in the chain. */
interface Stored {
	readonly tsMs: number
	readonly data: SampleData
}

class Fleet {
	readonly publishers = Array.from({ length: SUBJECTS }, (_unused, index) => new Publisher(index))
	readonly #folder = temporaryFolder()
	readonly chainPath = join(this.#folder, 'node.chain')
	readonly registryPath = join(this.#folder, 'registry.chain')
	/**
	 * Periods from before each kill until all sources were connected again. A loss is noticed only after
	 * earlier data was read.
	 */
	readonly outages: { readonly fromMs: number; readonly untilMs: number }[] = []
	readonly #receivers: readonly NatsConnection[]
	readonly #sender: NatsConnection
	#nats: NatsServer
	#loop!: MeshLoop
	manager!: SourceManager

	constructor(nats: NatsServer, connections: readonly NatsConnection[]) {
		this.#nats = nats
		this.#sender = connections[0]!
		this.#receivers = connections.slice(1)
		this.#open()
	}

	/** Number of messages that the server has delivered to the sources. */
	get delivered(): number {
		return this.#receivers.reduce((sum, connection) => sum + connection.stats().inMsgs, 0)
	}

	#open(): void {
		this.#loop = new MeshLoop(new FileChainAppender(this.chainPath))
		this.manager = new SourceManager(this.#loop, {
			registry: this.registryPath,
			queueSamplesMax: QUEUE_SAMPLES,
			connectTimeoutMs: 1500,
		})
	}

	async archive(http: string, nobody: string): Promise<void> {
		for (const { subject } of this.publishers) {
			await this.manager.archive(subject, this.#create(subject, subject), { details: subject })
		}
		for (let index = 0; index < ADDRESSES; index++) {
			const details = `${answerOf(index) === 'refused' ? nobody : http}/${index}`
			const name = `http.${index}`
			await this.manager.archive(name, this.#create(name, details), {
				mode: { scanIntervalMs: SCAN_MS },
				details,
			})
		}
	}

	#create(name: string, details: string): Source {
		if (name.startsWith('http')) return fromHttp(details, { value: (body) => (body as { seq: number }).seq })
		const index = this.publishers.findIndex(({ subject }) => subject === details)
		const isOwn = ['own clock', 'clock years off'].includes(kindOf(index))
		return fromNats(this.#receivers[index % CONNECTIONS]!, details, isOwn ? { sample: withClock } : {})
	}

	/** Resolves when the server has delivered every earlier message and the sources have received them. */
	async #settled(): Promise<void> {
		for (const connection of [this.#sender, ...this.#receivers]) await flushed(connection)
	}

	async #received(): Promise<number[]> {
		const statuses = await Promise.all(this.publishers.map(({ subject }) => this.manager.status(subject)))
		return statuses.map(({ counts }) => counts.received)
	}

	/** A phase without disturbance: each source receives every message that the server received. */
	async quiet(): Promise<void> {
		await this.#settled()
		const before = await this.#received()
		for (let round = 0; round < QUIET_ROUNDS; round++) {
			for (const publisher of this.publishers) publisher.publish(this.#sender, true)
			await this.#settled()
		}
		const after = await this.#received()
		expect(after.map((count, index) => count - before[index]!)).toEqual(
			this.publishers.map(() => QUIET_ROUNDS),
		)
	}

	/** Kills the server while all sources publish and one floods, and restarts it. */
	async storm(): Promise<void> {
		let isOver = false
		const publishing = (async () => {
			while (!isOver) {
				for (const publisher of this.publishers) publisher.publish(this.#sender, false)
				await pause(10)
			}
		})()
		await this.#flood()
		const fromMs = Date.now()
		await this.#nats.kill()
		await pause(300)
		this.#nats = await startNats({ port: this.#nats.port })
		onTestFinished(this.#nats.stop)
		await this.#settled()
		this.outages.push({ fromMs, untilMs: Date.now() })
		await pause(200)
		isOver = true
		await publishing
		await this.#settled()
	}

	/**
	 * Floods until more samples arrive at once than the queue can hold. The number depends on the machine.
	 */
	async #flood(): Promise<void> {
		const dropped = async () => (await this.manager.status('fleet.0')).counts.dropped.overflow
		const before = await dropped()
		for (let messages = FLOOD; messages <= FLOOD_MAX && (await dropped()) === before; messages *= 2) {
			for (let left = messages; left > 0; left--) this.publishers[0]!.publish(this.#sender, false)
			await pause(500)
		}
	}

	/**
	 * Resolves when each address has answered, failed or hung as intended. The time depends on the machine.
	 */
	async addressesSeen(): Promise<void> {
		const unseen = async () => {
			const kinds = Array.from({ length: ADDRESSES }, (_unused, index) => answerOf(index))
			const statuses = await Promise.all(kinds.map((_kind, index) => this.manager.status(`http.${index}`)))
			return statuses.filter(({ counts }, index) => !hasShown(kinds[index]!, counts)).map(({ name }) => name)
		}
		await expect.poll(unseen, { timeout: 60_000, interval: 100 }).toEqual([])
	}

	/** Restarts the manager. Counters continue. */
	async restart(): Promise<void> {
		await this.close()
		const { entries } = await readRegistry(this.registryPath)
		this.#open()
		const known = await this.manager.statuses()
		expect(known.map(({ name, counts }) => [name, counts])).toEqual(
			known.map(({ name }) => [name, entries.get(name)!.counts]),
		)
		const started = await this.manager.restore(({ name, details }: SourceEntry) =>
			this.#create(name, String(details)),
		)
		expect(started).toBe(SUBJECTS + ADDRESSES)
	}

	async close(): Promise<void> {
		await this.manager.close()
		await this.#loop.close()
	}

	/** Returns the samples in the chain, by source. */
	async stored(): Promise<ReadonlyMap<string, readonly Stored[]>> {
		const stored = new Map<string, Stored[]>()
		await using chain = await openChain(this.chainPath)
		for await (const { kind, daemonId, tsMs, data } of chain.records()) {
			if (kind !== 'sample') continue
			const list = stored.get(String(daemonId)) ?? []
			stored.set(String(daemonId), list)
			list.push({ tsMs, data: data as SampleData })
		}
		return stored
	}
}

function pause(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms))
}

async function flushed(connection: NatsConnection): Promise<void> {
	for (;;) {
		try {
			return await connection.flush()
		} catch {
			// The connection was lost during the wait.
			await pause(20)
		}
	}
}

/** Checks that every sample is in the chain or in the counter for its cause. */
function checkAccount(name: string, counts: SourceCounts, stored: readonly Stored[]): void {
	expect([name, counts.received]).toEqual([name, counts.stored + droppedTotal(counts)])
	expect([name, stored.length]).toEqual([name, counts.stored])
	const values = stored.map(({ data }) => Number(data.value))
	expect([name, values.findIndex((value, at) => at > 0 && value <= values[at - 1]!)]).toEqual([name, -1])
}

function checkSubject(
	publisher: Publisher,
	counts: SourceCounts,
	stored: readonly Stored[],
	fleet: Fleet,
): void {
	const { kind, subject, seq, owed } = publisher
	const { timestamp, order, type, refused } = counts.dropped
	expect([subject, counts.disconnects]).toEqual([subject, fleet.outages.length])
	expect([subject, order, refused]).toEqual([subject, 0, 0])
	expect([subject, type > 0]).toEqual([subject, kind === 'garbage' || kind === 'changing type'])
	expect([subject, timestamp > 0]).toEqual([subject, kind === 'clock years off'])
	expect(counts.received).toBeLessThanOrEqual(seq)
	const values = new Set(stored.map(({ data }) => data.value))
	expect([subject, owed.filter((one) => !values.has(one))]).toEqual([subject, []])
	checkOutages(subject, stored, fleet)
}

/** Checks that the first sample after a loss reports it, and no other sample does. */
function checkOutages(subject: string, stored: readonly Stored[], { outages }: Fleet): void {
	const told = stored.flatMap(({ data: { connection } }) => connection ?? [])
	const places = told.map(({ lostMs, regainedMs }) =>
		outages.findIndex(({ fromMs, untilMs }) => lostMs >= fromMs && lostMs <= untilMs && regainedMs >= lostMs),
	)
	expect([subject, places]).toEqual([subject, outages.map((_outage, index) => index)])
	if (kindOf(Number(subject.split('.')[1])) !== 'plain') return
	for (const { lostMs, regainedMs } of told) {
		const first = stored.find(({ tsMs }) => tsMs > lostMs)!
		expect([first.tsMs, first.data.connection]).toEqual([regainedMs, { lostMs, regainedMs }])
	}
}

/**
 * Returns whether the behaviour of an address shows in its counters. Between two losses there is a sample
 * that reports the first.
 */
function hasShown(kind: Answer, counts: SourceCounts): boolean {
	if (kind === 'ok') return counts.received > 0
	if (kind === 'flaps') return counts.disconnects > 1
	return counts.transientErrors > 0 && (kind !== 'hangs' || counts.missedScans > 0)
}

function checkAddress(
	index: number,
	counts: SourceCounts,
	stored: readonly Stored[],
	answered: number,
): void {
	const kind = answerOf(index)
	const name = `http.${index}`
	const hasValues = kind === 'ok' || kind === 'flaps'
	expect([name, counts.received > 0]).toEqual([name, hasValues])
	expect([name, droppedTotal(counts)]).toEqual([name, 0])
	if (kind !== 'ok') expect([name, counts.transientErrors > 0]).toEqual([name, true])
	if (kind === 'hangs') expect(counts.missedScans).toBeGreaterThan(0)
	if (!hasValues) return
	expect(counts.received).toBeLessThanOrEqual(answered)
	const told = stored.filter(({ data }) => data.connection !== undefined).length
	// A loss at the very end is not reported yet.
	expect([name, counts.disconnects - told <= 1 && told <= counts.disconnects]).toEqual([name, true])
	if (kind === 'flaps') expect(told).toBeGreaterThan(0)
}

test('200 sources over a killed server: each sample is stored once or counted', async () => {
	const nats = await startNats()
	onTestFinished(nats.stop)
	const connections: NatsConnection[] = []
	for (let left = 1 + CONNECTIONS; left > 0; left--) {
		const options = { port: nats.port, maxReconnectAttempts: -1, reconnectTimeWait: 100 }
		const connection = await connect(options)
		onTestFinished(() => connection.close())
		connections.push(connection)
	}
	const http = await startAddresses()
	const fleet = new Fleet(nats, connections)
	await fleet.archive(http.url, `http://127.0.0.1:${await freePort()}`)
	await fleet.quiet()
	for (let left = sizeOf('FLEET_KILLS'); left > 0; left--) {
		await fleet.storm()
		await fleet.quiet()
		await fleet.restart()
		await fleet.quiet()
	}
	await fleet.addressesSeen()
	await fleet.close()

	const { entries } = await readRegistry(fleet.registryPath)
	const stored = await fleet.stored()
	const counts = (name: string) => entries.get(name)!.counts
	const sum = (of: (counts: SourceCounts) => number) =>
		[...entries.values()].reduce((total, entry) => total + of(entry.counts), 0)
	expect(entries.size).toBe(SUBJECTS + ADDRESSES)
	for (const [name, entry] of entries) checkAccount(name, entry.counts, stored.get(name) ?? [])
	for (const publisher of fleet.publishers) {
		checkSubject(publisher, counts(publisher.subject), stored.get(publisher.subject) ?? [], fleet)
	}
	for (const [index, answered] of http.answered.entries()) {
		checkAddress(index, counts(`http.${index}`), stored.get(`http.${index}`) ?? [], answered)
	}
	const received = fleet.publishers.reduce((total, { subject }) => total + counts(subject).received, 0)
	expect(received).toBe(fleet.delivered)
	const flooded = counts('fleet.0').dropped.overflow
	// Whether the flood fills the queue depends on how its messages arrive. source-manager.test.ts fills one.
	tellCounts(0, 'a fleet over a server that is killed', {
		sources: entries.size,
		kills: fleet.outages.length,
		published: fleet.publishers.reduce((total, { seq }) => total + seq, 0),
		received: sum((each) => each.received),
		stored: sum((each) => each.stored),
		'dropped overflow of the flood': flooded,
		'of the others': sum(({ dropped }) => dropped.overflow) - flooded,
		'dropped type': sum(({ dropped }) => dropped.type),
		'dropped timestamp': sum(({ dropped }) => dropped.timestamp),
		'scans missed': sum((each) => each.missedScans),
		'scans failed or connections lost': sum((each) => each.transientErrors),
		unaccounted: sum((each) => each.received - each.stored - droppedTotal(each)),
	})
})
