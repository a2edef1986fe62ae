/**
 * A cluster of three servers with three copies of a stream, and 8 nodes that forward to it. A server, the
 * stream's leader, forwarders and writers are killed and restarted. At the end the stream has each record of
 * each chain once, in order, and nothing else, on every server. `pull` recreates the files, and `mesh-chain
 * dump` with only the address prints the history of all nodes.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { type ForwardOptions, openStream, pullStream } from '../../src/cluster/index.ts'
import { framesOf, isFence, recordsOf } from '../../src/cluster/message.ts'
import { parseSubject } from '../../src/cluster/subjects.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { eventually, type NatsCluster, newNatsCluster } from '../support/nats-cluster.ts'
import { meshChain, startModule } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const ROUNDS = sizeOf('CLUSTER_ROUNDS')
const NODES = 8
const STREAM = 'mesh'
/** How long the servers remember message ids. One forwarder stays away longer. */
const DUPLICATE_WINDOW_MS = 1_000
const AWAY_MS = 2 * DUPLICATE_WINDOW_MS
/** A few timeouts of acknowledgements. */
const FROZEN_MS = 3_500
/** Number of messages of a chain that count as progress. */
const MORE = 3

/** Writes until SIGTERM. */
const WRITER = `
	import { FileChainAppender, MeshLoop } from 'mesh-chain'
	const [path, nodeId] = process.argv.slice(-2)
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId })
	let index = 0
	const ticking = setInterval(() => {
		for (let count = 0; count < 10; count++) {
			const data = { index: index++, text: 'x'.repeat(index % 100) }
			loop.emit('order', data, { level: index % 50 ? 'info' : 'error' })
		}
		loop.flush()
	}, 50)
	process.once('SIGTERM', async () => {
		clearInterval(ticking)
		await loop.close()
	})
	console.log('open')
`

/** Forwards until SIGTERM, after which no more records follow. */
const FORWARDER = `
	import { forwardChain } from 'mesh-chain/cluster'
	const [path, options] = process.argv.slice(-2)
	const forwarder = forwardChain(path, JSON.parse(options))
	process.once('SIGTERM', async () => {
		await forwarder.flushed()
		await forwarder.close()
		console.log(JSON.stringify(forwarder.stats()))
	})
	console.log('on')
	await forwarder.done
`

/** A process that can be killed and restarted. */
class Program {
	kills = 0
	said = ''
	readonly #source: string
	readonly #args: readonly string[]
	#child: ChildProcess | undefined

	constructor(source: string, args: readonly string[]) {
		this.#source = source
		this.#args = args
	}

	get isRunning(): boolean {
		return this.#child !== undefined
	}

	/** Resolves when the process is running. */
	async start(): Promise<void> {
		this.said = ''
		const child = startModule(this.#source, this.#args)
		this.#child = child
		for (const stream of [child.stdout!, child.stderr!])
			stream.on('data', (piece: Buffer) => {
				this.said += piece.toString()
			})
		await eventually('a process is under way', async () => {
			if (child.exitCode !== null) throw new Error(this.said)
			return this.said.includes('\n')
		})
	}

	/** Kills the process at an arbitrary point. */
	async kill(): Promise<void> {
		expect(await this.#end('SIGKILL')).toEqual([null, 'SIGKILL'])
		this.kills++
	}

	async stop(): Promise<void> {
		expect(await this.#end('SIGTERM'), this.said).toEqual([0, null])
	}

	async #end(signal: NodeJS.Signals): Promise<unknown[]> {
		const child = this.#child!
		this.#child = undefined
		// The process must not have ended by itself.
		if (child.exitCode !== null) throw new Error(this.said)
		const closed = once(child, 'close')
		child.kill(signal)
		return await closed
	}
}

class Node {
	readonly name: string
	readonly path: string
	readonly writer: Program
	readonly forwarder: Program
	/** Time at which the forwarder that stays away was killed. */
	awaySinceMs = 0

	constructor(folder: string, index: number, options: ForwardOptions) {
		this.name = `api-${index}`
		this.path = join(folder, `${this.name}.chain`)
		this.writer = new Program(WRITER, [this.path, this.name])
		this.forwarder = new Program(FORWARDER, [this.path, JSON.stringify(options)])
	}

	async start(): Promise<void> {
		await this.writer.start()
		await eventually(`${this.path} is there`, async () => existsSync(this.path))
		await this.forwarder.start()
	}
}

class Fleet {
	readonly cluster: NatsCluster
	readonly nodes: readonly Node[]
	serverKills = 0
	readonly #random = randomFrom(SEED)

	constructor(cluster: NatsCluster) {
		this.cluster = cluster
		const options: ForwardOptions = {
			servers: cluster.urls,
			stream: STREAM,
			create: { replicas: 3, duplicateWindowMs: DUPLICATE_WINDOW_MS },
			pollIntervalMs: 20,
			// Some message is nearly always in flight.
			lingerMs: 1,
			// A killed server loses acknowledgements.
			ackTimeoutMs: 1_000,
		}
		const folder = temporaryFolder()
		this.nodes = Array.from({ length: NODES }, (_unused, index) => new Node(folder, index, options))
	}

	/** Returns the number of messages by node. */
	async #messages(): Promise<ReadonlyMap<string, number>> {
		const { state } = await this.cluster.info(STREAM)
		const counts = Object.entries(state.subjects ?? {})
		return new Map(counts.map(([subject, count]) => [parseSubject(subject)!.node, count]))
	}

	/** Resolves when each node with a writer and a forwarder has sent more messages. */
	async progress(): Promise<void> {
		const before = await eventually('the stream is there', () => this.#messages())
		const busy = this.nodes.filter(({ writer, forwarder }) => writer.isRunning && forwarder.isRunning)
		await eventually('all nodes forward', async () => {
			const now = await this.#messages()
			const slow = busy.filter(({ name }) => (now.get(name) ?? 0) < (before.get(name) ?? 0) + MORE)
			if (slow.length > 0)
				throw new Error(slow.map(({ name, forwarder }) => `${name}: ${forwarder.said}`).join())
			return true
		})
	}

	/** Kills a server, then some other processes, and restarts all of them. */
	async storm(server: number): Promise<void> {
		await sleep(this.#random() * 300)
		await this.cluster.kill(server)
		this.serverKills++
		await this.killSome()
		await this.progress()
		await this.cluster.start(server)
		await this.killSome()
		await this.progress()
		await this.cluster.current(STREAM)
		await this.#comeBack()
	}

	/**
	 * Leaves the leader alone, so that it cannot store anything. Messages sent meanwhile are not
	 * acknowledged, are sent again, and may be stored in the end.
	 */
	async standstill(): Promise<void> {
		const leader = await this.cluster.leaderOf(STREAM)
		const others = [0, 1, 2].filter((index) => index !== leader)
		for (const index of others) this.cluster.freeze(index)
		await sleep(FROZEN_MS)
		for (const index of others) this.cluster.thaw(index)
		await this.progress()
		await this.cluster.current(STREAM)
	}

	/** Kills three forwarders and a writer at separate moments and restarts them at once. */
	async killSome(): Promise<void> {
		const some = [...this.nodes]
			.filter(({ forwarder }) => forwarder.isRunning)
			.map((node) => ({ node, place: this.#random() }))
			.sort((a, b) => a.place - b.place)
			.map(({ node }) => node)
		const programs = [...some.slice(0, 3).map(({ forwarder }) => forwarder), some[3]!.writer]
		await Promise.all(
			programs.map(async (program) => {
				await sleep(this.#random() * 500)
				await program.kill()
				await program.start()
			}),
		)
	}

	/** Stops one forwarder for longer than the servers remember its message ids. */
	async goAway(): Promise<void> {
		const node = this.nodes[Math.floor(this.#random() * NODES)]!
		await node.forwarder.kill()
		node.awaySinceMs = Date.now()
	}

	async #comeBack(): Promise<void> {
		for (const node of this.nodes.filter(({ awaySinceMs }) => awaySinceMs > 0)) {
			await eventually('it was away for long enough', async () => Date.now() - node.awaySinceMs > AWAY_MS)
			await node.forwarder.start()
			node.awaySinceMs = 0
		}
	}
}

/** Records of each message, by subject. */
type Messages = ReadonlyMap<string, readonly (readonly LogRecord[])[]>

/** Returns all messages of the stream that contain records, in order, as a plain client reads them. */
async function messagesIn(cluster: NatsCluster): Promise<Messages> {
	const bySubject = new Map<string, LogRecord[][]>()
	const connection = await connect({ servers: cluster.urls })
	try {
		const manager = await jetstreamManager(connection)
		const { state } = await manager.streams.info(STREAM)
		expect([state.first_seq, state.messages]).toEqual([1, state.last_seq])
		for (let seq = 1; seq <= state.last_seq; seq++) {
			const message = (await manager.streams.getMessage(STREAM, { seq }))!
			if (isFence(message)) continue
			const { subject, data } = message
			const messages = bySubject.get(subject) ?? []
			bySubject.set(subject, messages)
			messages.push(recordsOf(framesOf(data, parseSubject(subject)!.chainId))!)
		}
	} finally {
		await connection.close()
	}
	return bySubject
}

/** Returns the number of messages of each subject. */
function countsOf(messages: Messages): Record<string, number> {
	return Object.fromEntries([...messages].map(([subject, { length }]) => [subject, length]))
}

/** The final state of a node. */
interface End {
	readonly name: string
	/** Records in the node's file. */
	readonly written: readonly LogRecord[]
	/** Records in the stream, by message. */
	readonly sent: readonly (readonly LogRecord[])[]
	/** Records from `openStream`. */
	readonly read: readonly LogRecord[]
	/** Records in the file from `pullStream`. */
	readonly pulled: readonly LogRecord[]
	/** Number of cursor files next to the chain. */
	readonly cursors: number
}

async function endOf(
	{ name, path }: Node,
	cluster: NatsCluster,
	messages: Messages,
	pulledFolder: string,
): Promise<End> {
	await using chain = await openChain(path)
	await using pulled = await openChain(join(pulledFolder, `${name}.chain`))
	expect([name, pulled.chainId]).toEqual([name, chain.chainId])
	await using stream = await openStream(`${cluster.address}/${STREAM}?chain=${chain.chainId}`)
	const files = readdirSync(dirname(path)).filter((file) => file.startsWith(`${basename(path)}.forward-`))
	return {
		name,
		written: await collect(chain.records()),
		sent: messages.get(`${STREAM}.${name}.${chain.chainId}`) ?? [],
		read: await collect(stream.records()),
		pulled: await collect(pulled.records()),
		cursors: files.filter((file) => file.endsWith('.cursor')).length,
	}
}

interface Account {
	readonly records: number
	readonly twice: number
	readonly missing: number
	readonly outOfOrder: number
}

/** Returns what became of the records of a file. */
function accountOf(written: readonly LogRecord[], sent: readonly LogRecord[]): Account {
	const idOf = ({ epoch, seq }: LogRecord) => `${epoch} ${seq}`
	const ids = new Set(sent.map(idOf))
	return {
		records: written.length,
		twice: sent.length - ids.size,
		missing: written.filter((record) => !ids.has(idOf(record))).length,
		outOfOrder: sent.filter(({ seq }, at) => at > 0 && seq <= sent[at - 1]!.seq).length,
	}
}

test(`8 nodes and the cluster killed: the stream has each record once, in order (seed ${SEED})`, async () => {
	const cluster = await newNatsCluster()
	const fleet = new Fleet(cluster)
	// Forwarders may start before the servers.
	await Promise.all([cluster.startAll(), ...fleet.nodes.map((node) => node.start())])
	await fleet.progress()
	for (let round = 0; round < ROUNDS; round++) {
		await fleet.goAway()
		const leader = await cluster.leaderOf(STREAM)
		await fleet.storm((leader + 1 + (round % 2)) % 3)
		await fleet.storm(await cluster.leaderOf(STREAM))
		await fleet.standstill()
	}
	for (const { writer } of fleet.nodes) await writer.stop()
	await Promise.all(fleet.nodes.map(({ forwarder }) => forwarder.stop()))

	await cluster.current(STREAM)
	const copies: Messages[] = []
	await cluster.eachLeading(STREAM, async () => void copies.push(await messagesIn(cluster)))
	const [messages, ...others] = copies as [Messages, ...Messages[]]
	const pulledFolder = join(temporaryFolder(), 'cluster')
	const address = `${cluster.address}/${STREAM}`
	const pull = await pullStream(address, pulledFolder)
	expect(readdirSync(pulledFolder).sort()).toEqual(fleet.nodes.map(({ name }) => `${name}.chain`))
	const ends = await Promise.all(fleet.nodes.map((node) => endOf(node, cluster, messages, pulledFolder)))
	const accounts = ends.map(({ written, sent }) => accountOf(written, sent.flat()))
	const sum = (of: (account: Account) => number) => accounts.reduce((total, one) => total + of(one), 0)
	const kills = (of: (node: Node) => Program) =>
		fleet.nodes.reduce((total, node) => total + of(node).kills, 0)
	tellCounts(0, 'a cluster that is killed', {
		nodes: NODES,
		'server kills': fleet.serverKills,
		'forwarder kills': kills(({ forwarder }) => forwarder),
		'writer kills': kills(({ writer }) => writer),
		records: sum(({ records }) => records),
		pulled: pull.records,
		'in the stream twice': sum(({ twice }) => twice),
		missing: sum(({ missing }) => missing),
		'out of order': sum(({ outOfOrder }) => outOfOrder),
	})
	expect(messages.size).toBe(NODES)
	// All servers have the same messages. They are compared one by one: vitest prints no difference between
	// values of this size.
	for (const other of others) {
		expect(countsOf(other)).toEqual(countsOf(messages))
		for (const [subject, list] of messages)
			for (const [index, message] of list.entries())
				expect([subject, index, other.get(subject)?.[index]]).toEqual([subject, index, message])
	}
	for (const { name, written, sent, read, pulled, cursors } of ends) {
		// Each message continues where the previous one ended.
		for (const [index, [first]] of sent.entries())
			expect([name, first!.seq]).toEqual([name, 1 + (sent[index - 1]?.at(-1)?.seq ?? 0)])
		expect(sent.flat()).toEqual(written)
		expect(read).toEqual(written)
		expect(pulled).toEqual(written)
		// The forwarders saw the same stream all along.
		expect([name, cursors]).toEqual([name, 1])
	}

	const dump = await meshChain(['dump', address, '-o', 'ndjson'], { cwd: temporaryFolder() })
	expect([dump.status, dump.stderr]).toEqual([0, ''])
	const lines: LogRecord[] = dump.stdout
		.trim()
		.split('\n')
		.map((line) => JSON.parse(line))
	for (const { name, written } of ends) {
		const own = lines.filter(({ nodeId }) => nodeId === name)
		expect([name, own.map(({ origin }) => origin?.seq)]).toEqual([name, written.map(({ seq }) => seq)])
	}
	expect(lines).toHaveLength(sum(({ records }) => records))
	const outOfTime = lines.filter(({ tsMs }, at) => at > 0 && tsMs < lines[at - 1]!.tsMs)
	expect(outOfTime).toEqual([])
})
