/** What both orders of a replay of statements share: the window, connections that come back, and what ends it all. */
import type { Chain } from '../chain/chain.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'
import type { ReplayClock } from '../replay/clock.ts'
import { Pacer } from '../replay/pacer.ts'
import type { PgTarget, TargetConnection } from './pg-target.ts'
import { Suspects } from './reading.ts'
import type { ResolvedStatementsOptions } from './replay-statements-options.ts'
import type { StatementData } from './statement.ts'
import type { StatementReport } from './statement-report.ts'
import { StatementTally } from './statement-tally.ts'
import { addSuspectsOf } from './target-suspects.ts'
import { statementOf } from './transactions.ts'

/** Gives a connection back that nothing needs: or says how many are needed, by transactions that wait for what comes next in the chain. */
export type MakeRoom = () => Promise<{ readonly isMade: boolean; readonly holders: number }>

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5000

export class StatementReplay {
	readonly options: ResolvedStatementsOptions
	readonly tally: StatementTally
	readonly pacer: Pacer
	readonly suspects = new Suspects()
	readonly #chain: Pick<Chain, 'batches'>
	readonly #target: PgTarget
	readonly #connections = new Set<TargetConnection>()
	#first: TargetConnection | undefined
	readonly #aborted = new AbortController()
	readonly #closed = new AbortController()
	#endedBy: MeshChainError | undefined
	readonly #waiting = new Set<() => void>()

	constructor(chain: Pick<Chain, 'batches'>, target: PgTarget, options: ResolvedStatementsOptions) {
		this.#chain = chain
		this.#target = target
		this.options = options
		this.tally = new StatementTally(options)
		this.pacer = new Pacer(options.clock, options.speed, options.gapMsMax)
	}

	/** Nothing more is begun. */
	get isOver(): boolean {
		return (
			this.#aborted.signal.aborted ||
			this.#endedBy !== undefined ||
			(this.options.stopOnError && this.tally.hasFailures)
		)
	}

	get ending(): StatementReport['ended'] {
		if (this.#endedBy !== undefined) return this.#endedBy.code === 'TARGET_FULL' ? 'targetFull' : 'targetGone'
		if (this.options.stopOnError && this.tally.hasFailures) return 'error'
		return this.#aborted.signal.aborted ? 'aborted' : 'end'
	}

	abort(): void {
		this.#aborted.abort()
		this.pacer.stop()
		for (const over of this.#waiting) over()
	}

	/** The statements of the window, in the order of the chain, until it is over. */
	async *statements(counts = true): AsyncGenerator<{ record: LogRecord; data: StatementData }> {
		for await (const batch of this.#chain.batches(this.options.window)) {
			for (const record of batch) {
				if (this.isOver) return
				if (counts ? this.tally.gap(record) : record.kind !== this.options.window.kind) continue
				const data = statementOf(record)
				if (data !== undefined) yield { record, data }
				else if (counts) this.tally.skip('notAStatement', 1)
			}
		}
	}

	/** @throws {MeshChainError} `TARGET_UNREACHABLE` */
	async connectFirst(): Promise<void> {
		try {
			this.#first = await this.#connect()
			if (this.options.skipsReads) await addSuspectsOf(this.#first, this.suspects)
		} catch (error) {
			if (!this.#aborted.signal.aborted) throw error
		}
	}

	/** What ended it before its end. */
	get endedBy(): MeshChainError | undefined {
		return this.#endedBy
	}

	get clock(): ReplayClock {
		return this.options.clock
	}

	/**
	 * A new connection, tried again with growing waits.
	 *
	 * @param lost the one in whose place it is.
	 * @param makeRoom called where the target takes no more connections.
	 * @throws {MeshChainError} `TARGET_UNREACHABLE` after the last try, `TARGET_FULL` where the connections that the replay holds itself are all
	 * that the target has: the replay is over then.
	 */
	async connection(lost?: TargetConnection, makeRoom?: MakeRoom): Promise<TargetConnection> {
		if (lost !== undefined) {
			if (lost.isLost) this.tally.reconnects++
			await this.release(lost)
		}
		const first = this.#first
		this.#first = undefined
		if (first !== undefined && !first.isLost) return first
		for (let tries = 0; ; tries++) {
			try {
				return await this.#connect()
			} catch (error) {
				const room = isFull(error) || isSilent(error) ? await makeRoom?.() : undefined
				const isLast = tries >= this.options.retries
				// Whoever else has connections to a server may give one back. A pooler has said so by its silence.
				if (room?.isMade === false && room.holders > 0 && (isLast || isSilent(error)))
					throw this.endFull(room.holders, error)
				if (isLast || this.#aborted.signal.aborted || this.#endedBy !== undefined) {
					if (!this.#aborted.signal.aborted && isUnreachable(error)) this.#endedBy ??= error
					throw error
				}
				await this.backOff(tries)
			}
		}
	}

	/** A new connection, tried once; or why there is none. */
	async tryConnection(): Promise<TargetConnection | 'full' | 'silent' | 'unreachable'> {
		try {
			return await this.#connect()
		} catch (error) {
			if (isFull(error)) return 'full'
			return isSilent(error) ? 'silent' : 'unreachable'
		}
	}

	/** The target has no connection more than those that are in transactions of this replay, which wait for one that has none. */
	endFull(holders: number, cause?: unknown): MeshChainError {
		const reason = cause === undefined ? `no answer within ${this.options.connectMs} ms` : messageOf(cause)
		this.#endedBy ??= new MeshChainError(
			'TARGET_FULL',
			`the target gives no more than ${holders} connections, all of which are in transactions that were open at the same time when they were recorded; the next transaction got none (${reason}). Raise its limit (max_connections, CONNECTION LIMIT, default_pool_size of PgBouncer), or replay in the order of commits, which takes one connection`,
			{ cause },
		)
		return this.#endedBy
	}

	/** Waits longer from one try to the next. */
	backOff(tries: number): Promise<void> {
		if (this.#aborted.signal.aborted) return Promise.resolve()
		return this.wait(Math.min(RETRY_MS_MIN * 2 ** tries, RETRY_MS_MAX))
	}

	/** Resolves after this time, or when it is ended. */
	wait(ms: number): Promise<void> {
		return new Promise((resolve) => {
			const over = () => {
				cancel()
				this.#waiting.delete(over)
				resolve()
			}
			const cancel = this.options.clock.after(ms, over)
			this.#waiting.add(over)
		})
	}

	async release(connection: TargetConnection): Promise<void> {
		this.#connections.delete(connection)
		await connection.close()
	}

	async close(): Promise<void> {
		this.#closed.abort()
		await Promise.all([...this.#connections].map((connection) => this.release(connection)))
	}

	async #connect(): Promise<TargetConnection> {
		const connection = await this.#target.connect(
			AbortSignal.any([this.#aborted.signal, this.#closed.signal]),
		)
		if (this.#closed.signal.aborted) await connection.close()
		this.#connections.add(connection)
		return connection
	}
}

/** What says that there is no connection to the target. */
export function isUnreachable(thrown: unknown): thrown is MeshChainError {
	return (
		thrown instanceof MeshChainError &&
		(thrown.code === 'TARGET_UNREACHABLE' || thrown.code === 'TARGET_FULL')
	)
}

/** `too_many_connections`, of the server, the database or the role; or a pooler's limit of clients. */
function isFull(thrown: unknown): boolean {
	if (!isUnreachable(thrown)) return false
	const { code } = (thrown.cause ?? {}) as { readonly code?: unknown }
	return code === '53300' || /no more connections allowed/.test(thrown.message)
}

/** A connection that nothing was answered on in time, or that a pooler gave up as it had no server for it. */
function isSilent(thrown: unknown): boolean {
	if (!isUnreachable(thrown)) return false
	const { code } = (thrown.cause ?? {}) as { readonly code?: unknown }
	return code === 'ETIMEDOUT' || /query_wait_timeout/.test(thrown.message)
}
