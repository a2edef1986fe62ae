/** What both orders of a replay of statements share: the window, connections that come back, and what ends it all. */
import type { Chain } from '../chain/chain.ts'
import { MeshChainError } from '../errors.ts'
import type { LogRecord } from '../record.ts'
import { Pacer } from '../replay/pacer.ts'
import type { PgTarget, TargetConnection } from './pg-target.ts'
import type { ResolvedStatementsOptions } from './replay-statements-options.ts'
import type { StatementData } from './statement.ts'
import type { StatementReport } from './statement-report.ts'
import { StatementTally } from './statement-tally.ts'
import { statementOf } from './transactions.ts'

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5000

export class StatementReplay {
	readonly options: ResolvedStatementsOptions
	readonly tally: StatementTally
	readonly pacer: Pacer
	readonly #chain: Pick<Chain, 'batches'>
	readonly #target: PgTarget
	readonly #connections = new Set<TargetConnection>()
	#first: TargetConnection | undefined
	readonly #aborted = new AbortController()
	#isGone = false
	readonly #waiting = new Set<() => void>()

	constructor(chain: Pick<Chain, 'batches'>, target: PgTarget, options: ResolvedStatementsOptions) {
		this.#chain = chain
		this.#target = target
		this.options = options
		this.tally = new StatementTally(options)
		this.pacer = new Pacer(options.clock, options.rate, options.gapMsMax)
	}

	/** Nothing more is begun. */
	get isOver(): boolean {
		return (
			this.#aborted.signal.aborted || this.#isGone || (this.options.stopOnError && this.tally.hasFailures)
		)
	}

	get ending(): StatementReport['ended'] {
		if (this.#isGone) return 'targetGone'
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
		} catch (error) {
			if (!this.#aborted.signal.aborted) throw error
		}
	}

	/**
	 * A new connection, tried again with growing waits.
	 *
	 * @param lost the one in whose place it is.
	 * @param makeRoom called where the target takes no more connections.
	 * @throws {MeshChainError} `TARGET_UNREACHABLE` after the last try: the target is gone then, and the replay over.
	 */
	async connection(lost?: TargetConnection, makeRoom?: () => Promise<void>): Promise<TargetConnection> {
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
				if (isFull(error)) await makeRoom?.()
				if (tries < this.options.retries && !this.#aborted.signal.aborted) await this.backOff(tries)
				else {
					this.#isGone = !this.#aborted.signal.aborted
					throw error
				}
			}
		}
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
		await Promise.all([...this.#connections].map((connection) => this.release(connection)))
	}

	async #connect(): Promise<TargetConnection> {
		const connection = await this.#target.connect(this.#aborted.signal)
		this.#connections.add(connection)
		return connection
	}
}

/** What says that the target is gone. */
export function isUnreachable(thrown: unknown): thrown is MeshChainError {
	return thrown instanceof MeshChainError && thrown.code === 'TARGET_UNREACHABLE'
}

/** `too_many_connections`, of the server, the database or the role. */
function isFull(thrown: unknown): boolean {
	return isUnreachable(thrown) && (thrown.cause as { readonly code?: unknown } | undefined)?.code === '53300'
}
