/** A cluster of three NATS servers with JetStream on loopback, for tests that kill servers. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type JetStreamManager, jetstreamManager, type StreamInfo } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { onTestFinished } from 'vitest'
import { freePort } from './free-port.ts'
import { freeze } from './nats-server.ts'
import { requirePackage } from './system-packages.ts'
import { temporaryFolder } from './temporary.ts'

const SERVERS = 3
/**
 * Guard against hanging: an election takes about ten seconds at worst, and up to five times longer on a busy
 * machine.
 */
const WAIT_MS_MAX = 120_000
const LOOK_MS = 100
const ASK_MS = 2_000

/** Resolves to the result of `look`, which may fail or find nothing for a while. */
export async function eventually<T>(
	what: string,
	look: () => Promise<T | undefined | false>,
	waitMs = WAIT_MS_MAX,
): Promise<T> {
	const deadline = Date.now() + waitMs
	for (let last: unknown; ; ) {
		try {
			const found = await look()
			if (found !== undefined && found !== false) return found
		} catch (error) {
			last = error
		}
		if (Date.now() > deadline) throw new Error(`in vain for ${waitMs} ms: ${what}`, { cause: last })
		await sleep(LOOK_MS)
	}
}

interface Ports {
	readonly client: number
	readonly route: number
	readonly monitor: number
}

export class NatsCluster {
	readonly #folder: string
	readonly #ports: readonly Ports[]
	readonly #servers: (ChildProcess | undefined)[] = []

	constructor(folder: string, ports: readonly Ports[]) {
		this.#folder = folder
		this.#ports = ports
	}

	/** URLs of all its servers. */
	get urls(): string[] {
		return this.#ports.map(({ client }) => `nats://127.0.0.1:${client}`)
	}

	/** Beginning of the address of a stream. */
	get address(): string {
		return `nats://${this.#ports.map(({ client }) => `127.0.0.1:${client}`).join(',')}`
	}

	#nameOf(index: number): string {
		return `server-${index}`
	}

	/** Starts all servers. Resolves when JetStream has a leader. */
	async startAll(): Promise<void> {
		for (const index of this.#ports.keys()) this.#spawn(index)
		for (const index of this.#ports.keys()) await this.#healthy(index)
		await eventually('JetStream has a leader', async () => {
			const connection = await connect({ servers: this.urls, timeout: ASK_MS, reconnect: false })
			try {
				return await jetstreamManager(connection, { timeout: ASK_MS })
			} finally {
				await connection.close()
			}
		})
	}

	/**
	 * Starts a server with its previous ports and store. Resolves when it is back in the cluster and up to
	 * date.
	 */
	async start(index: number): Promise<void> {
		this.#spawn(index)
		await this.#healthy(index)
	}

	#spawn(index: number): void {
		const { client, route, monitor } = this.#ports[index]!
		const name = this.#nameOf(index)
		const store = join(this.#folder, name)
		mkdirSync(store, { recursive: true })
		const others = this.#ports.filter((ports) => ports.route !== route)
		const args = [
			...['-a', '127.0.0.1', '-p', String(client), '-m', String(monitor), '-n', name, '-js', '-sd', store],
			...['-l', join(this.#folder, `${name}.log`), '--cluster_name', 'mesh'],
			...['-cluster', `nats://127.0.0.1:${route}`],
			...['-routes', others.map((ports) => `nats://127.0.0.1:${ports.route}`).join(',')],
		]
		this.#servers[index] = spawn('nats-server', args, { stdio: 'ignore' })
	}

	async #healthy(index: number): Promise<void> {
		await eventually(`${this.#nameOf(index)} is there and current`, async () => {
			const server = this.#servers[index]
			// Its port may not have been free before.
			if (server === undefined || hasEnded(server)) this.#spawn(index)
			const { monitor } = this.#ports[index]!
			const signal = AbortSignal.timeout(ASK_MS)
			return (await fetch(`http://127.0.0.1:${monitor}/healthz`, { signal })).ok
		})
	}

	/** Kills a server, as a crash would. */
	async kill(index: number): Promise<void> {
		const server = this.#servers[index]
		if (server === undefined || hasEnded(server)) return
		const gone = once(server, 'exit')
		server.kill('SIGKILL')
		await gone
	}

	/** Stops all threads of a server without notice to any client. Returns when all of them have stopped. */
	freeze(index: number): void {
		const server = this.#servers[index]
		if (server !== undefined && !hasEnded(server)) freeze(server.pid!)
	}

	thaw(index: number): void {
		this.#servers[index]?.kill('SIGCONT')
	}

	async stop(): Promise<void> {
		await Promise.all(this.#ports.map((_ports, index) => this.kill(index)))
	}

	/**
	 * Resolves to the plain client once JetStream answers. After servers were killed or frozen, JetStream has
	 * no leader until an election is over. A request may still fail later, so tests use `eventually`. The
	 * connection is closed when the test ends.
	 */
	manager(): Promise<JetStreamManager> {
		return eventually('JetStream answers', async () => {
			const connection = await connect({ servers: this.urls, timeout: ASK_MS })
			try {
				const manager = await jetstreamManager(connection, { timeout: ASK_MS })
				onTestFinished(() => connection.close())
				return manager
			} catch (error) {
				await connection.close()
				throw error
			}
		})
	}

	/** Returns the information about a stream from any running server. */
	async info(stream: string): Promise<StreamInfo> {
		const connection = await connect({ servers: this.urls, timeout: ASK_MS, reconnect: false })
		try {
			const manager = await jetstreamManager(connection, { timeout: ASK_MS, checkAPI: false })
			return await manager.streams.info(stream, { subjects_filter: '>' })
		} finally {
			await connection.close()
		}
	}

	/** Returns the index of the server that leads a stream. */
	leaderOf(stream: string): Promise<number> {
		return eventually(`the stream ${stream} has a leader`, async () => {
			const { cluster } = await this.info(stream)
			const index = this.#ports.findIndex((_ports, at) => this.#nameOf(at) === cluster?.leader)
			return index < 0 ? undefined : index
		})
	}

	/**
	 * Calls `look` while each of the servers in turn leads the stream. Each server has its own copy, and a
	 * leader shows its own. A server can lead before it has applied all it has received, and a restarted one
	 * while it still fetches older messages. It then has another turn later, until its copy has everything that
	 * the stream had when this method was called.
	 */
	async eachLeading(stream: string, look: () => Promise<void>): Promise<void> {
		const { last_seq: wanted } = (await this.info(stream)).state
		const left = new Set(this.#ports.keys())
		await eventually(`each server has led ${stream} with its ${wanted} messages`, async () => {
			const leader = await this.leaderOf(stream)
			if (left.has(leader) && (await this.info(stream)).state.last_seq >= wanted) {
				await look()
				left.delete(leader)
			}
			if (left.size === 0) return true
			await this.#stepDown(stream)
			return false
		})
	}

	async #stepDown(stream: string): Promise<void> {
		const connection = await connect({ servers: this.urls, timeout: ASK_MS })
		try {
			await connection.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, '', { timeout: ASK_MS })
		} finally {
			await connection.close()
		}
	}

	/** Resolves when all servers have everything that the leader of a stream has. */
	async current(stream: string): Promise<void> {
		await eventually(`all replicas of ${stream} are current`, async () => {
			const { cluster } = await this.info(stream)
			const followers = cluster?.replicas ?? []
			return (
				followers.length === SERVERS - 1 && followers.every(({ current, offline }) => current && !offline)
			)
		})
	}
}

/** Creates a cluster without running servers. The servers end with the test, however it ends. */
export async function newNatsCluster(): Promise<NatsCluster> {
	requirePackage('nats-server')
	const free = await Promise.all(Array.from({ length: 3 * SERVERS }, freePort))
	const ports = Array.from({ length: SERVERS }, (_unused, index) => {
		const [client, route, monitor] = free.slice(3 * index)
		return { client: client!, route: route!, monitor: monitor! }
	})
	// Hooks run in reverse order: the servers end before their folder is removed.
	const cluster = new NatsCluster(temporaryFolder(), ports)
	onTestFinished(() => cluster.stop())
	return cluster
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
	return exitCode !== null || signalCode !== null
}
