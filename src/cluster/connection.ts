/** A connection to NATS with what is used of JetStream. What goes wrong is said with a code, and without a secret. */
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node'
import { MeshChainError, messageOf } from '../errors.ts'
import { invalidOption } from '../options.ts'
import { type NatsAccess, resolveAccess } from './access.ts'

const CONNECT_MS = 5_000
const RECONNECT_MS = 250
const REQUEST_MS = 5_000
/** A server that is frozen or cut off closes no connection: it is left for another one when it answers none of two pings. */
const PING_MS = 10_000

export interface Cluster {
	readonly connection: NatsConnection
	readonly manager: JetStreamManager
	readonly client: JetStreamClient
	close(): Promise<void>
}

/** What `connect` is told. @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE` */
export function connectionOptions(servers: readonly string[], access: NatsAccess): ConnectionOptions {
	return {
		...resolveAccess(access),
		servers: [...servers],
		name: 'mesh-chain',
		timeout: CONNECT_MS,
		reconnectTimeWait: RECONNECT_MS,
		maxReconnectAttempts: -1,
		pingInterval: PING_MS,
		maxPingOut: 2,
		ignoreAuthErrorAbort: true,
		ignoreClusterUpdates: false,
	}
}

/**
 * Connects, and again for ever once it is connected.
 *
 * @throws {MeshChainError} `CLUSTER_UNREACHABLE`
 */
export async function openCluster(options: ConnectionOptions): Promise<Cluster> {
	let connection: NatsConnection | undefined
	try {
		connection = await connect(options)
		const manager = await jetstreamManager(connection, { timeout: REQUEST_MS })
		const client = jetstream(connection, { timeout: REQUEST_MS })
		const opened = connection
		return { connection: opened, manager, client, close: () => closed(opened) }
	} catch (error) {
		if (connection !== undefined) await closed(connection)
		const servers = Array.isArray(options.servers) ? options.servers.join(', ') : String(options.servers)
		throw new MeshChainError(
			'CLUSTER_UNREACHABLE',
			`cannot use JetStream at ${servers}: ${reasonOf(error)}`,
			{ cause: error },
		)
	}
}

/**
 * @param servers `nats://host:4222`, one or several of one cluster; without a name or password in them.
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkServers(servers: unknown): string[] {
	const list = typeof servers === 'string' ? servers.split(',') : servers
	if (!Array.isArray(list) || list.length === 0)
		throw invalidOption('servers', servers, 'a URL such as nats://127.0.0.1:4222, or an array of them')
	return list.map((server) => serverOf(server))
}

function serverOf(server: unknown): string {
	const text = typeof server === 'string' ? server.trim() : ''
	const match = /^(?:(?:nats|tls):\/\/)?([^/@?#\s]+)\/?$/.exec(text)
	if (match !== null && text !== '') return text.replace(/\/$/, '')
	const shown = text.includes('@') ? '…' : server
	throw invalidOption(
		'a server',
		shown,
		`a URL such as nats://127.0.0.1:4222${text.includes('@') ? '; a name and password are options of their own' : ''}`,
	)
}

async function closed(connection: NatsConnection): Promise<void> {
	await connection.close().catch(() => {})
}

/** What NATS says, which may be nothing but the name of an error. */
export function reasonOf(error: unknown): string {
	const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown }
	const message = messageOf(error)
	if (name === 'NoRespondersError' || name === 'JetStreamNotEnabled' || code === 503)
		return 'nobody answers: is JetStream enabled (nats-server -js), and has it a leader?'
	if (name === 'TimeoutError') return 'no answer in time'
	return message === '' ? String(name ?? error) : message
}
