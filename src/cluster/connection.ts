/** A connection to NATS with what is used of JetStream. What goes wrong is said with a code, and without a secret. */
import { isIPv6 } from 'node:net'
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node'
import { invalidOption } from '../model/check.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { type NatsAccess, resolveAccess } from './credentials.ts'
import { SocketGuard } from './socket-guard.ts'

const CONNECT_MS = 5_000
const RECONNECT_MS = 250
const REQUEST_MS = 5_000
/** A server that is frozen or cut off closes no connection: it is left for another one when it answers none of two pings. */
const PING_MS = 10_000

export interface Cluster {
	readonly connection: NatsConnection
	readonly manager: JetStreamManager
	readonly client: JetStreamClient
	/** Why the servers let it in no more, where they said so. */
	refusal(): string | undefined
	/** Calls it for everything that the servers do not permit, also where nobody waits for an answer. Returns the undo. */
	onDenied(listener: (error: Error) => void): () => void
	close(): Promise<void>
}

/** What `connect` is told. @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE` */
export function connectionOptions(servers: readonly string[], access: NatsAccess): ConnectionOptions {
	const resolved = resolveAccess(access)
	return {
		...resolved,
		...(servers.some(isTls) ? { tls: resolved.tls ?? {} } : {}),
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
	const dial = new SocketGuard()
	try {
		connection = await dial.run(() => connect(options))
		const manager = await jetstreamManager(connection, { timeout: REQUEST_MS })
		const client = jetstream(connection, { timeout: REQUEST_MS })
		const opened = connection
		return {
			connection: opened,
			manager,
			client,
			...watched(opened, options),
			close: () => closed(opened, dial),
		}
	} catch (error) {
		await closed(connection, dial)
		const servers = Array.isArray(options.servers) ? options.servers.join(', ') : String(options.servers)
		throw new MeshChainError(
			'CLUSTER_UNREACHABLE',
			`cannot use JetStream at ${servers}: ${reasonOf(error)}${adviceOf(error, options)}`,
			{ cause: error },
		)
	}
}

/**
 * @param servers `nats://host:4222`, or `tls://host:4222` where it must be encrypted, one or several of one cluster; without a name or password in them.
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
	const [, host] = /^(?:(?:nats|tls):\/\/)?([^/@?#\s]+)\/?$/i.exec(text) ?? []
	if (host !== undefined && URL.canParse(`http://${isIPv6(host) ? `[${host}]` : host}`))
		return text.replace(/\/$/, '')
	const shown = text.includes('@') ? '…' : server
	throw invalidOption(
		'a server',
		shown,
		`a URL such as nats://127.0.0.1:4222${text.includes('@') ? '; a name and password are options of their own' : ''}`,
	)
}

/** Whoever names a server so sends nothing to it in the clear. */
function isTls(server: string): boolean {
	return /^tls:/i.test(server)
}

/** A connection that was lost, and is refused, tries again for ever: whoever waits for an answer is told only that there is none. */
function watched(
	connection: NatsConnection,
	options: ConnectionOptions,
): Pick<Cluster, 'refusal' | 'onDenied'> {
	let refusal: string | undefined
	const listeners = new Set<(error: Error) => void>()
	const watch = async () => {
		for await (const status of connection.status()) {
			if (status.type === 'reconnect') refusal = undefined
			if (status.type !== 'error') continue
			if (isDenied(status.error)) for (const listener of listeners) listener(status.error)
			if (isLockedOut(status.error)) refusal = `${reasonOf(status.error)}${adviceOf(status.error, options)}`
		}
	}
	watch().catch(() => {})
	return {
		refusal: () => refusal,
		onDenied: (listener) => {
			listeners.add(listener)
			return () => listeners.delete(listener)
		},
	}
}

/** Whether the servers let nobody in with what was given. */
export function isLockedOut(error: unknown): boolean {
	return isOf(error, ({ name }) => name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError')
}

/** What to look at, where the reason does not say it. */
function adviceOf(error: unknown, options: ConnectionOptions): string {
	const thrown = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown }
	if (isLockedOut(thrown))
		return [options.user, options.token, options.authenticator].some((way) => way !== undefined)
			? ': the user, token, nkey or JWT that was given is unknown to the server, wrong or expired'
			: ': the server asks for a user, token, nkeyFile or credsFile, and none was given'
	if (thrown.name === 'TimeoutError' && options.tls)
		return '; a server that asks for a client certificate says nothing when it gets none that it trusts: are certFile and keyFile right?'
	if (/SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET_ISSUER)/.test(String(thrown.code)))
		return ": caFile must hold the authority that signed the server's certificate"
	if (thrown.code === 'ERR_TLS_CERT_ALTNAME_INVALID')
		return ' (a server that is named by an IP address is checked as localhost: give its host name)'
	return ''
}

/** Whether the servers do not permit something to this user, which no waiting changes. @param token of the subject; of any unless given. */
export function isDenied(error: unknown, token = ''): error is Error {
	return isOf(
		error,
		({ name, subject }) => name === 'PermissionViolationError' && String(subject).includes(token),
	)
}

/** An error of the client of NATS, or the cause of one. */
interface ClientError {
	readonly name?: unknown
	readonly subject?: unknown
	readonly cause?: unknown
}

function isOf(error: unknown, fits: (error: ClientError) => boolean): boolean {
	for (
		let thrown = error as ClientError | undefined;
		thrown instanceof Error;
		thrown = thrown.cause as ClientError
	)
		if (fits(thrown)) return true
	return false
}

async function closed(connection: NatsConnection | undefined, dial: SocketGuard): Promise<void> {
	await connection?.close().catch(() => {})
	dial.end()
}

/** What NATS says, which may be nothing but the name of an error. */
export function reasonOf(error: unknown): string {
	const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown }
	if (isDenied(error))
		return `${messageOf(error)} (docs/guarantees/cluster.md lists the permissions that are needed)`
	const message = messageOf(error)
	if (name === 'NoRespondersError' || name === 'JetStreamNotEnabled' || code === 503)
		return 'nobody answers: is JetStream enabled (nats-server -js), and has it a leader?'
	if (name === 'TimeoutError') return 'no answer in time'
	return message === '' ? String(name ?? error) : message
}
