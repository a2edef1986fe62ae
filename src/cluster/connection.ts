/** Connects to NATS and JetStream. Errors have codes and contain no secrets. */
import { isIPv6 } from 'node:net'
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node'
import { invalidOption } from '../model/check.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { type GivenAccess, resolveAccess } from './credentials.ts'
import { SocketGuard } from './socket-guard.ts'

const CONNECT_MS = 5_000
const RECONNECT_MS = 250
const REQUEST_MS = 5_000
/**
 * Interval between pings. A frozen or disconnected server does not close its connections. After two
 * unanswered pings, the client switches to another server.
 */
const PING_MS = 10_000

/** An open connection. */
export interface Cluster {
	readonly connection: NatsConnection
	readonly manager: JetStreamManager
	readonly client: JetStreamClient
	/** Returns the reason why the servers refuse the connection; undefined if they have not reported one. */
	refusal(): string | undefined
	/**
	 * Calls a listener for every permission violation that the servers report. Returns a function that removes
	 * the listener.
	 */
	onDenied(listener: (error: Error) => void): () => void
	close(): Promise<void>
}

/** Returns the options for `connect`. @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE` */
export function connectionOptions(servers: readonly string[], access: GivenAccess): ConnectionOptions {
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
 * Connects to the servers. If an established connection is lost, the client keeps trying to reconnect, unless
 * `reconnect` is false.
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
 * Checks server addresses.
 *
 * @param servers One or more servers of one cluster: `nats://host:4222`, or `tls://host:4222` to require
 * encryption. The URLs must not contain a user name or password.
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkServers(name: string, servers: unknown): string[] {
	const list = typeof servers === 'string' ? servers.split(',') : servers
	if (!Array.isArray(list) || list.length === 0)
		throw invalidOption(name, servers, 'a URL such as nats://127.0.0.1:4222, or an array of such URLs')
	return list.map((server) => serverOf(server))
}

function serverOf(server: unknown): string {
	const text = typeof server === 'string' ? server.trim() : ''
	const [, host] = /^(?:(?:nats|tls):\/\/)?([^/@?#\s]+)\/?$/i.exec(text) ?? []
	if (host !== undefined && URL.canParse(`http://${isIPv6(host) ? `[${host}]` : host}`))
		return text.replace(/\/$/, '')
	const url = 'a URL such as nats://127.0.0.1:4222'
	throw text.includes('@')
		? invalidOption('a server', '…', `${url} without credentials, which are separate options`)
		: invalidOption('a server', server, url)
}

/** Returns whether a server address requires encryption. */
function isTls(server: string): boolean {
	return /^tls:/i.test(server)
}

/**
 * Watches a connection for refusals. While the client tries to reconnect, requests time out without giving a
 * reason.
 */
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

/** Returns whether an error means that the servers refuse the credentials. */
export function isLockedOut(error: unknown): boolean {
	return isOf(error, ({ name }) => name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError')
}

/** Returns advice to append to an error that does not itself show what is wrong; empty for other errors. */
function adviceOf(error: unknown, options: ConnectionOptions): string {
	const thrown = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown }
	if (isLockedOut(thrown))
		return [options.user, options.token, options.authenticator].some((way) => way !== undefined)
			? ': the given user, token, nkey or JWT is wrong, expired or unknown to the server'
			: ': the server requires a user, token, nkeyFile or credsFile, but none was given'
	if (thrown.name === 'TimeoutError' && options.tls)
		return (
			'; a server that requires a client certificate does not answer untrusted clients: ' +
			'check certFile and keyFile'
		)
	if (/SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET_ISSUER)/.test(String(thrown.code)))
		return ": caFile must contain the certificate of the authority that signed the server's certificate"
	if (thrown.code === 'ERR_TLS_CERT_ALTNAME_INVALID')
		return ' (for an IP address, the certificate is checked against localhost: use the host name)'
	return ''
}

/**
 * Returns whether an error means that the servers deny this user a permission. A retry would fail too.
 *
 * @param token String that the denied subject must contain. Default: the empty string, which every subject
 * contains.
 */
export function isDenied(error: unknown, token = ''): error is Error {
	return isOf(
		error,
		({ name, subject }) => name === 'PermissionViolationError' && String(subject).includes(token),
	)
}

/** An error from the NATS client, or the cause of such an error. */
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

/** Returns the reason for a NATS error. Some of these errors have only a name and no message. */
export function reasonOf(error: unknown): string {
	const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown }
	if (isDenied(error))
		return `${messageOf(error)} (docs/guarantees/cluster.md lists the required permissions)`
	const message = messageOf(error)
	if (name === 'NoRespondersError' || name === 'JetStreamNotEnabled' || code === 503)
		return 'no server answers: check that JetStream is enabled (nats-server -js) and has a leader'
	if (name === 'TimeoutError') return 'no answer in time'
	return message === '' ? String(name ?? error) : message
}
