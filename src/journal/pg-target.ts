/** The Postgres that statements are replayed into: where it is, and connections to it that say what each statement did. */
import { createRequire } from 'node:module'
import pg from 'pg'
import { MeshChainError, messageOf } from '../errors.ts'
import {
	checkIsObject,
	checkOptionNames,
	checkText,
	checkWholeNumber,
	ifGiven,
	invalidOption,
} from '../options.ts'
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
	/** Why, where it was lost. */
	readonly lostBy: string
}

const NAMES = ['url', 'host', 'port', 'user', 'password', 'database', 'ssl'] as const
const CONNECT_MS = 30_000

export class PgTarget {
	readonly #config: pg.ClientConfig

	/** @throws {MeshChainError} `INVALID_OPTION` */
	constructor(target: PgTargetOptions, timeoutMs: number) {
		checkOptionNames(target, NAMES)
		const { url, ssl } = target
		for (const name of ['host', 'user', 'password', 'database'] as const)
			ifGiven(name, target[name], checkText)
		ifGiven('port', target.port, (name, port) => checkWholeNumber(name, port, 1))
		if (ssl !== undefined && typeof ssl !== 'boolean') checkIsObject('ssl', ssl)
		const { url: _url, ...given } = target
		this.#config = {
			fallback_application_name: 'mesh-chain',
			keepAlive: true,
			connectionTimeoutMillis: CONNECT_MS,
			statement_timeout: timeoutMs,
			...withoutEmpty(url === undefined ? {} : parsed(url)),
			...withoutEmpty(given),
		}
	}

	/** @throws {MeshChainError} `TARGET_UNREACHABLE` */
	async connect(): Promise<TargetConnection> {
		const client = new pg.Client(this.#config)
		const connection = new TargetConnection(client)
		try {
			await client.connect()
			return connection
		} catch (error) {
			client.end().catch(() => {})
			throw new MeshChainError('TARGET_UNREACHABLE', `connect to target: ${reasonOf(error)}`, {
				cause: error,
			})
		}
	}
}

/** One connection. Takes one statement at a time. */
export class TargetConnection {
	readonly #client: pg.Client
	readonly #session: PgSession
	#answered: ((data: StatementData) => void) | undefined
	#lostBy: string | undefined
	/** What the server says: `I` outside of a transaction, `T` in one, `E` in one that failed. */
	status = 'I'

	constructor(client: pg.Client) {
		this.#client = client
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

	/** Never rejects. */
	async ask(statement: Replayable): Promise<Answer> {
		if (this.#lostBy !== undefined) return { data: undefined, isLost: true, lostBy: this.#lostBy }
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
			lostBy: this.#lostBy ?? '',
		}
	}

	/** As it was when it was new. False where that cannot be done. */
	async clean(): Promise<boolean> {
		if (this.status !== 'I') await this.ask({ text: 'ROLLBACK', params: [] })
		const { data, isLost } = await this.ask({ text: 'DISCARD ALL', params: [] })
		return !isLost && data?.error === undefined
	}

	/** What is open there is rolled back. */
	async close(): Promise<void> {
		this.#lose('the connection was closed')
		await this.#client.end().catch(() => {})
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
	return messageOf(first ?? error)
}
