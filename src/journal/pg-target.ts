/**
 * The Postgres server into which statements are replayed, and the connections to it. A connection returns the
 * answer to each statement.
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import pg from 'pg'
import { checkIsObject, checkText, checkWholeNumber, invalidOption } from '../model/check.ts'
import { defineOptions, type OptionRules, optional, unchecked } from '../model/define-options.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'
import { type PgConnection, PgSession } from './pg-session.ts'
import type { StatementData, WireValue } from './statement.ts'
import { type Replayable, TargetQuery } from './target-query.ts'

/**
 * Connection settings for the target. The other options override the corresponding parts of `url`.
 * node-postgres takes missing settings from environment variables, such as `PGHOST` and `PGPASSWORD`, or from
 * `~/.pgpass`, and otherwise applies its own defaults.
 */
export interface PgTargetOptions {
	/** URL of the target: `postgres://user@host:5432/database`. */
	readonly url?: string | undefined
	/** Host name, or folder that contains a Unix socket. */
	readonly host?: string | undefined
	/** Port number. */
	readonly port?: number | undefined
	/** User name. */
	readonly user?: string | undefined
	/** Password of the user. */
	readonly password?: string | undefined
	/** Database name. */
	readonly database?: string | undefined
	/** TLS settings, as for `new pg.Client`. */
	readonly ssl?: boolean | object | undefined
}

/** The target's answer to a statement. */
export interface Answer {
	/** Data of the executed statement; undefined if the statement was not sent. */
	readonly data: StatementData | undefined
	/** Whether the connection was lost. */
	readonly isLost: boolean
	/**
	 * Whether the connection was closed because no answer arrived in time. The statement may still be
	 * running.
	 */
	readonly isTimedOut: boolean
	/** Reason why the connection was lost; empty if it was not lost. */
	readonly lostBy: string
}

const PORT_MAX = 65_535
/** Time from the statement timeout on the server until the client closes the connection. */
const GRACE_MS = 5000
/** Maximum time to wait for the server to close a connection. */
const CLOSE_MS = 1000

const TARGET_OPTIONS = defineOptions({
	url: unchecked<string>(),
	host: optional(checkText),
	port: optional((name, port) => {
		const number = checkWholeNumber(name, port, 1)
		if (number > PORT_MAX) throw invalidOption(name, port, `at most ${PORT_MAX}`)
		return number
	}),
	user: optional(checkText),
	password: optional(checkText),
	database: optional(checkText),
	ssl: optional((name, ssl) => {
		if (typeof ssl !== 'boolean') checkIsObject(name, ssl)
		return ssl
	}),
} satisfies OptionRules<PgTargetOptions>)

/** The target of a statement replay. Opens connections to the target server. */
export class PgTarget {
	readonly #config: pg.ClientConfig
	readonly #timeoutMs: number
	readonly #connectMs: number

	/**
	 * @param timeoutMs Timeout for one statement, in milliseconds.
	 * @param connectMs Timeout for the first answer on a new connection, in milliseconds.
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	constructor(target: PgTargetOptions, timeoutMs: number, connectMs: number) {
		const { url, ...given } = TARGET_OPTIONS.resolve(target)
		this.#config = {
			fallback_application_name: 'mesh-chain',
			keepAlive: true,
			...withoutEmpty(url === undefined ? {} : parsed(url)),
			...withoutEmpty(given),
		}
		this.#timeoutMs = timeoutMs
		this.#connectMs = connectMs
	}

	/**
	 * Opens a connection.
	 *
	 * @throws {MeshChainError} `TARGET_UNREACHABLE` if the connection cannot be opened. After a timeout, the
	 * error's cause has the code `ETIMEDOUT`.
	 */
	async connect(signal: AbortSignal): Promise<TargetConnection> {
		const client = new pg.Client(this.#config)
		const connection = new TargetConnection(client, this.#timeoutMs)
		const onAbort = () => connection.destroy()
		signal.addEventListener('abort', onAbort)
		let late: Error | undefined
		const deadline = setTimeout(() => {
			late = Object.assign(new Error(`no answer within ${this.#connectMs} ms`), { code: 'ETIMEDOUT' })
			connection.destroy()
		}, this.#connectMs)
		try {
			await client.connect()
			await connection.start()
			return connection
		} catch (error) {
			connection.destroy()
			const cause = late ?? error
			throw new MeshChainError('TARGET_UNREACHABLE', `connect to target: ${reasonOf(cause)}`, { cause })
		} finally {
			clearTimeout(deadline)
			signal.removeEventListener('abort', onAbort)
		}
	}
}

/**
 * Equivalent of `DISCARD ALL`, according to the Postgres manual. `DISCARD ALL` itself must be the only
 * statement in its text, but the text that resets a connection must also set the timeout again.
 */
const DISCARD_ALL =
	'CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; SELECT ' +
	'pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES'

/** A connection to the target, which executes one statement at a time. */
export class TargetConnection {
	readonly #client: pg.Client
	readonly #session: PgSession
	readonly #timeoutMs: number
	/** Statement that sets the timeout, because poolers refuse the timeout as a connection parameter. */
	readonly #setTimeout: string
	#answered: ((data: StatementData) => void) | undefined
	#lostBy: string | undefined
	#isTimedOut = false
	/**
	 * Transaction status from the server: `I` outside a transaction, `T` in a transaction, `E` in a failed
	 * transaction.
	 */
	status = 'I'

	constructor(client: pg.Client, timeoutMs: number) {
		this.#client = client
		this.#timeoutMs = timeoutMs
		this.#setTimeout = `SET statement_timeout = ${timeoutMs}`
		const { connection } = client as unknown as { readonly connection: PgConnection }
		connection.prependListener('readyForQuery', ({ status = 'I' }) => {
			this.status = status
		})
		client.on('error', (error) => this.#lose(messageOf(error)))
		client.on('end', () => this.#lose('the connection was closed'))
		this.#session = new PgSession('target', connection, {
			clock: Date.now,
			toWire: (values) => values as readonly WireValue[],
			sent: () => undefined,
			recordsErrorsAtOnce: false,
			record: (data) => this.#answered?.(data),
		})
	}

	/** Process id of the server backend. */
	get pid(): number | undefined {
		return (this.#client as unknown as { readonly processID: number | null }).processID ?? undefined
	}

	/** Whether the connection was lost. */
	get isLost(): boolean {
		return this.#lostBy !== undefined
	}

	/** Sets the statement timeout on a new connection. */
	async start(): Promise<void> {
		const { data, isLost, lostBy } = await this.ask({ text: this.#setTimeout, params: [] })
		if (isLost) throw new Error(lostBy)
		if (data?.error !== undefined) throw new Error(data.error.message)
	}

	/** Executes a statement. Never rejects. Closes the connection if the server does not answer in time. */
	async ask(statement: Replayable): Promise<Answer> {
		if (this.#lostBy !== undefined)
			return { data: undefined, isLost: true, isTimedOut: false, lostBy: this.#lostBy }
		const deadline = setTimeout(
			() => {
				this.#isTimedOut = true
				this.#lose(`no answer within ${this.#timeoutMs} ms`)
				this.destroy()
			},
			Math.min(this.#timeoutMs + GRACE_MS, TIMER_MS_MAX),
		)
		try {
			return await this.#answerTo(statement)
		} finally {
			clearTimeout(deadline)
		}
	}

	async #answerTo(statement: Replayable): Promise<Answer> {
		const data = await new Promise<StatementData | undefined>((resolve) => {
			this.#answered = resolve
			const query = new TargetQuery(statement, (error) => {
				this.#lose(messageOf(error))
				resolve(undefined)
			})
			this.#session.follow(query)
			this.#client.query(query as unknown as pg.Submittable)
		})
		if (data === undefined || data.end === 'unknown')
			this.#lose(data?.error?.message ?? 'the connection was lost')
		return {
			data,
			isLost: this.isLost && (data === undefined || data.end === 'unknown'),
			isTimedOut: this.#isTimedOut,
			lostBy: this.#lostBy ?? '',
		}
	}

	/** Rolls back the open transaction. */
	async rollback(): Promise<void> {
		await this.ask({ text: 'ROLLBACK', params: [] })
	}

	/** Resets the connection to its initial state. Returns whether the reset succeeded. */
	async clean(): Promise<boolean> {
		if (this.status !== 'I') await this.rollback()
		const { data, isLost } = await this.ask({ text: `${DISCARD_ALL}; ${this.#setTimeout}`, params: [] })
		return !isLost && data?.error === undefined
	}

	/** Closes the connection. The server rolls back any open transaction. */
	async close(): Promise<void> {
		this.#lose('the connection was closed')
		const late = setTimeout(() => this.destroy(), CLOSE_MS)
		await this.#client.end().catch(() => {})
		clearTimeout(late)
	}

	/** Closes the socket without notifying the server. */
	destroy(): void {
		const { connection } = this.#client as unknown as { readonly connection: { readonly stream: Socket } }
		connection.stream.destroy()
	}

	#lose(why: string): void {
		this.#lostBy ??= why
	}
}

/**
 * Parses a URL with the node-postgres parser. Hides the parser's errors, because they could contain a
 * password.
 */
function parsed(url: string): pg.ClientConfig {
	if (typeof url !== 'string' || !/^postgres(?:ql)?:\/\//i.test(url)) throw noUrl(url)
	try {
		const ofPg = createRequire(createRequire(import.meta.url).resolve('pg'))
		const { parse } = ofPg('pg-connection-string') as { parse(url: string): pg.ClientConfig }
		return { ...parse(url) }
	} catch (error) {
		if ((error as { code?: unknown }).code === 'MODULE_NOT_FOUND') throw error
		throw noUrl('one that cannot be read')
	}
}

function noUrl(given: unknown): MeshChainError {
	return invalidOption(
		'url',
		typeof given === 'string' ? '…' : given,
		'a URL such as postgres://user@host:5432/database',
	)
}

function withoutEmpty(config: object): object {
	return Object.fromEntries(
		Object.entries(config).filter(([, value]) => value !== undefined && value !== null && value !== ''),
	)
}

/**
 * Returns the reason why a connection failed. For a host name with several addresses, Node reports one error
 * per address, and the first one is used.
 */
function reasonOf(error: unknown): string {
	const [first] = error instanceof AggregateError ? error.errors : []
	const reason = messageOf(first ?? error)
	return /client password must be a string|empty password returned/.test(reason)
		? 'the target requires a password, but none was given'
		: reason
}
