/** The Postgres that statements are replayed into: where it is, and connections to it that say what each statement did. */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import pg from 'pg'
import {
	checkIsObject,
	checkOptionNames,
	checkText,
	checkWholeNumber,
	ifGiven,
	invalidOption,
} from '../model/check.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'
import { type PgConnection, PgSession } from './pg-session.ts'
import type { StatementData, WireValue } from './statement.ts'
import { type Replayable, TargetQuery } from './target-query.ts'

/** Where to connect to. What is given beside `url` stands in place of what that says; what nothing says is node-postgres' own: `PGHOST`, `PGPASSWORD`, `~/.pgpass`. */
export interface PgTargetOptions {
	/** `postgres://user@host:5432/database` */
	readonly url?: string
	readonly host?: string
	readonly port?: number
	readonly user?: string
	readonly password?: string
	readonly database?: string
	/** As `new pg.Client` takes it. */
	readonly ssl?: boolean | object
}

/** What became of a statement. */
export interface Answer {
	/** Undefined where it was never sent. */
	readonly data: StatementData | undefined
	/** The connection was lost. */
	readonly isLost: boolean
	/** It was given up, for there was no answer in time: what was asked may still be under way. */
	readonly isTimedOut: boolean
	/** Why, where it was lost. */
	readonly lostBy: string
}

const NAMES = ['url', 'host', 'port', 'user', 'password', 'database', 'ssl'] as const
const PORT_MAX = 65_535
/** So much later than the server had to end a statement, its connection is given up. */
const GRACE_MS = 5000
/** So long is waited for the server to close a connection. */
const CLOSE_MS = 1000

export class PgTarget {
	readonly #config: pg.ClientConfig
	readonly #timeoutMs: number
	readonly #connectMs: number

	/**
	 * @param timeoutMs for one statement.
	 * @param connectMs until a new connection has answered to its first one.
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	constructor(target: PgTargetOptions, timeoutMs: number, connectMs: number) {
		checkOptionNames(target, NAMES)
		const { url, ssl } = target
		for (const name of ['host', 'user', 'password', 'database'] as const)
			ifGiven(name, target[name], checkText)
		ifGiven('port', target.port, (name, port) => {
			if (checkWholeNumber(name, port, 1) > PORT_MAX) throw invalidOption(name, port, `at most ${PORT_MAX}`)
		})
		if (ssl !== undefined && typeof ssl !== 'boolean') checkIsObject('ssl', ssl)
		const { url: _url, ...given } = target
		this.#config = {
			fallback_application_name: 'mesh-chain',
			keepAlive: true,
			...withoutEmpty(url === undefined ? {} : parsed(url)),
			...withoutEmpty(given),
		}
		this.#timeoutMs = timeoutMs
		this.#connectMs = connectMs
	}

	/** @throws {MeshChainError} `TARGET_UNREACHABLE`; its cause has the code `ETIMEDOUT` where nothing was answered in time. */
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

/** What `DISCARD ALL` does, by Postgres' own description: that itself can be in no text with anything else, and the timeout has to be set anew behind it. */
const DISCARD_ALL =
	'CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES'

/** One connection. Takes one statement at a time. */
export class TargetConnection {
	readonly #client: pg.Client
	readonly #session: PgSession
	readonly #timeoutMs: number
	/** Told by a statement: poolers refuse it where a connection begins. */
	readonly #setTimeout: string
	#answered: ((data: StatementData) => void) | undefined
	#lostBy: string | undefined
	#isTimedOut = false
	/** What the server says: `I` outside of a transaction, `T` in one, `E` in one that failed. */
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

	/** Of the server's process. */
	get pid(): number | undefined {
		return (this.#client as unknown as { readonly processID: number | null }).processID ?? undefined
	}

	get isLost(): boolean {
		return this.#lostBy !== undefined
	}

	/** Before anything else. */
	async start(): Promise<void> {
		const { data, isLost, lostBy } = await this.ask({ text: this.#setTimeout, params: [] })
		if (isLost) throw new Error(lostBy)
		if (data?.error !== undefined) throw new Error(data.error.message)
	}

	/** Never rejects. Where the server does not answer in time, although it was told to, the connection is given up. */
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

	/** As it was when it was new. False where that cannot be done. */
	async clean(): Promise<boolean> {
		if (this.status !== 'I') await this.ask({ text: 'ROLLBACK', params: [] })
		const { data, isLost } = await this.ask({ text: `${DISCARD_ALL}; ${this.#setTimeout}`, params: [] })
		return !isLost && data?.error === undefined
	}

	/** What is open there is rolled back. */
	async close(): Promise<void> {
		this.#lose('the connection was closed')
		const late = setTimeout(() => this.destroy(), CLOSE_MS)
		await this.#client.end().catch(() => {})
		clearTimeout(late)
	}

	/** Without a word to the server. */
	destroy(): void {
		const { connection } = this.#client as unknown as { readonly connection: { readonly stream: Socket } }
		connection.stream.destroy()
	}

	#lose(why: string): void {
		this.#lostBy ??= why
	}
}

/** As node-postgres reads it, with its own parser. What it says of one that is wrong could name a password. */
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

/** Where a name has several addresses, none of which answers, Node says it once for each. */
function reasonOf(error: unknown): string {
	const [first] = error instanceof AggregateError ? error.errors : []
	const reason = messageOf(first ?? error)
	return /client password must be a string|empty password returned/.test(reason)
		? 'it wants a password, and none was given'
		: reason
}
