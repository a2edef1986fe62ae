/** Records the statements that a service sends through a node-postgres pool or client. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { show } from '../guard/show.ts'
import { checkLoop } from '../loop/core-of.ts'
import type { MeshLoop } from '../loop/mesh-loop.ts'
import { MeshChainError } from '../model/errors.ts'
import { warn } from '../platform/diagnostics.ts'
import { processWide } from '../platform/process-wide.ts'
import { CommitOrder } from './commit-order.ts'
import { type JournalOptions, type ResolvedJournalOptions, resolveJournalOptions } from './journal-options.ts'
import { type PgConnection, type PgQuery, PgSession, type SessionHost } from './pg-session.ts'
import { redactStatement } from './redact-statement.ts'
import { STATEMENT_KIND, type StatementData, type WireValue } from './statement.ts'

type Callback = (error: unknown, result?: unknown) => void

interface MadeQuery extends PgQuery {
	callback?: unknown
	query_timeout?: unknown
}

/** The members of a node-postgres client that a journal uses. */
interface PgClient {
	readonly connection: PgConnection
	/** Promise constructor from the client's configuration. */
	readonly _Promise?: PromiseConstructor
	/** Present only in newer versions of node-postgres. */
	getTransactionStatus?(): string | null
	query(...args: unknown[]): unknown
	readonly constructor: { readonly Query?: new (...args: unknown[]) => MadeQuery }
}

/** The members of a pool that a journal uses. */
interface PgPool {
	prependListener(event: 'connect', listener: (client: PgClient) => void): unknown
	readonly totalCount: number
	readonly options?: { onConnect?: unknown }
	readonly _clients?: readonly unknown[]
}

/**
 * node-postgres utilities. `prepareValue`, which converts a parameter to its wire value, is missing from the
 * type definitions of `pg`.
 */
const { utils } = pg as unknown as { readonly utils: { prepareValue(value: unknown): WireValue } }

const journaled = processWide('journaled', () => new WeakSet<object>())

/**
 * Records every statement that is sent through a node-postgres pool or client after this call. Each record
 * contains the text, the parameters as sent over the wire, the transaction and how it ended, the number of
 * rows, a checksum of the result, the duration and the error. Returns the same object, whose behaviour does
 * not change: callbacks, promises, cursors, streams, errors and types work as they do without a journal.
 *
 * A statement is published before its caller receives the result or the error. However, if a COMMIT on
 * another connection is in flight, the statement is published only after that COMMIT is answered. Therefore,
 * the order of the chain is the order in which the transactions took effect, as far as a client can
 * determine. If the loop refuses a record, it counts the record, and the query is not affected.
 *
 * @param poolOrClient A `Pool` or `Client` from `pg`.
 * @throws {MeshChainError} `INVALID_OPTION` for any other object, for an object that is already journaled,
 * and for an invalid loop or option.
 *
 * @example
 * ```ts
 * import { MeshLoop } from 'mesh-chain'
 * import { journalPg } from 'mesh-chain/journal'
 * import pg from 'pg'
 *
 * const loop = new MeshLoop()
 * const pool = journalPg(new pg.Pool({ max: 4 }), loop)
 * await pool.end()
 * await loop.close()
 * ```
 */
export function journalPg<T>(poolOrClient: T, loop: MeshLoop, options: JournalOptions = {}): T {
	checkLoop('a journal needs a loop', loop)
	const journal = new Journal(loop, resolveJournalOptions(options))
	if (isClient(poolOrClient)) journal.follow(poolOrClient)
	else if (isPool(poolOrClient)) journal.followAll(poolOrClient)
	else throw refused(`a journal needs a Pool or a Client from pg, not ${show(poolOrClient)}`)
	return poolOrClient
}

class Journal {
	readonly #loop: MeshLoop
	readonly #options: ResolvedJournalOptions
	readonly #id = randomUUID()
	/**
	 * Shared by all sessions, because a statement in one session may have to wait for a statement in another.
	 */
	readonly #order = new CommitOrder((data) => this.#record(data))
	#sessions = 0
	#isBlind = false

	constructor(loop: MeshLoop, options: ResolvedJournalOptions) {
		this.#loop = loop
		this.#options = options
	}

	followAll(pool: PgPool): void {
		claim(pool)
		for (const client of pool._clients ?? []) this.#followNew(client)
		// The listener is prepended, because other listeners may send statements on the new client.
		pool.prependListener('connect', (client) => this.#followNew(client))
		const { options } = pool
		const onConnect = options?.onConnect
		if (options === undefined || typeof onConnect !== 'function') return
		options.onConnect = (client: unknown) => {
			this.#followNew(client)
			return onConnect.call(options, client)
		}
	}

	/**
	 * Follows a client unless it is already followed. A pool reports a client more than once if the client was
	 * connecting when the pool was journaled.
	 */
	#followNew(client: unknown): void {
		if (!isClient(client)) this.#warnBlind()
		else if (!journaled.has(client)) this.follow(client)
	}

	/** Warns once that a pool creates clients whose messages cannot be read, such as libpq clients. */
	#warnBlind(): void {
		if (this.#isBlind) return
		this.#isBlind = true
		warn(
			'JOURNAL_BLIND',
			'a pool creates clients that cannot be followed, so their statements are not recorded: use a ' +
				'pool from pg, not from pg.native',
		)
	}

	follow(client: PgClient): void {
		claim(client)
		const host: SessionHost = {
			clock: Date.now,
			toWire: (values) => values.map((value) => utils.prepareValue(value)),
			sent: (text) => this.#order.sent(text),
			recordsErrorsAtOnce: true,
			record: (data, position) => this.#order.answered(data, position),
		}
		const status = client.getTransactionStatus?.() ?? undefined
		const session = new PgSession(`${this.#id}:${++this.#sessions}`, client.connection, host, status)
		const query = client.query
		const { Query } = client.constructor
		client.query = (...args) => {
			const [config] = args
			if (isQuery(config)) session.follow(config)
			else if (Query !== undefined && config != null) {
				const made = new Query(...args)
				if (made.callback == null || typeof made.callback === 'function') {
					session.follow(made)
					return ask(client, query, made, config)
				}
			}
			return query.apply(client, args)
		}
	}

	#record(data: StatementData): void {
		const kept = redactStatement(data, this.#options)
		const { error, commands, startedMs } = kept
		this.#loop.publish({
			kind: STATEMENT_KIND,
			level: error === undefined ? 'info' : 'warn',
			message: error?.message ?? commands.join(', '),
			tsMs: startedMs,
			data: kept,
		})
	}
}

/**
 * Sends a query and reports its result through a callback or a promise, as `client.query` does for the
 * queries that it creates.
 */
function ask(client: PgClient, query: PgClient['query'], made: MadeQuery, config: unknown): unknown {
	const { query_timeout } = config as MadeQuery
	if (query_timeout !== undefined) made.query_timeout = query_timeout
	if (made.callback != null) {
		query.call(client, made)
		return undefined
	}
	const { _Promise: Answer = Promise } = client
	const answer = new Answer((resolve, reject) => {
		const callback: Callback = (error, result) => (error ? reject(error) : resolve(result))
		made.callback = callback
		query.call(client, made)
	})
	return answer.catch((error) => {
		// Replaces the stack of the socket callback, which does not help the caller.
		if (error instanceof Error) Error.captureStackTrace(error)
		throw error
	})
}

function claim(poolOrClient: object): void {
	if (journaled.has(poolOrClient))
		throw refused(
			'this pool or client is already journaled: a second journal would record its statements twice',
		)
	journaled.add(poolOrClient)
}

function isClient(value: unknown): value is PgClient {
	const { connection, query } = (value ?? {}) as Partial<PgClient>
	return typeof query === 'function' && typeof connection?.prependListener === 'function'
}

function isPool(value: unknown): value is PgPool {
	const { prependListener, totalCount } = (value ?? {}) as Partial<PgPool>
	return typeof prependListener === 'function' && typeof totalCount === 'number'
}

function isQuery(value: unknown): value is PgQuery {
	return typeof (value as Partial<PgQuery> | null | undefined)?.submit === 'function'
}

function refused(text: string): MeshChainError {
	return new MeshChainError('INVALID_OPTION', text)
}
