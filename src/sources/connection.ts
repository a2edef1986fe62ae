/** Tracks whether a source is connected. A source is connected once its first sample has arrived. */

/**
 * The connection state of a source.
 *
 * - `idle`: the source is not running.
 * - `connecting`: the source has started, but no sample has arrived yet.
 * - `connected`: samples are arriving.
 * - `disconnected`: the connection was lost and has not been regained.
 */
export type ConnectionState = 'idle' | 'connecting' | 'connected' | 'disconnected'

/** A connection that was lost and regained. Times are in ms since 1970. */
export interface Regained {
	/** Time of the loss. */
	readonly lostMs: number
	/** Time of the first sample after the loss. */
	readonly regainedMs: number
}

/** The connection of one source. */
export class Connection {
	#state: ConnectionState = 'idle'
	#sinceMs: number | undefined
	/** Time of the last loss; undefined after the next sample has arrived. */
	#lostMs: number | undefined

	constructor(lostMs?: number) {
		this.#lostMs = lostMs
	}

	get state(): ConnectionState {
		return this.#state
	}

	/** Time of the first sample of this connection; undefined if the source is not connected. */
	get sinceMs(): number | undefined {
		return this.#sinceMs
	}

	get lostMs(): number | undefined {
		return this.#lostMs
	}

	/** Whether the next sample is the first one of a connection. */
	get isFirst(): boolean {
		return this.#sinceMs === undefined
	}

	connecting(): void {
		if (this.#state === 'idle') this.#state = 'connecting'
	}

	/** Records a sample. If this is the first sample after a loss, returns the regained connection. */
	seen(nowMs: number): Regained | undefined {
		if (this.#sinceMs !== undefined) return undefined
		this.#state = 'connected'
		this.#sinceMs = nowMs
		if (this.#lostMs === undefined) return undefined
		const regained = { lostMs: this.#lostMs, regainedMs: nowMs }
		this.#lostMs = undefined
		return regained
	}

	/** Records a loss. Returns whether the source was connected. */
	lost(nowMs: number): boolean {
		if (this.#state !== 'connected') return false
		this.#state = 'disconnected'
		this.#sinceMs = undefined
		this.#lostMs = nowMs
		return true
	}

	/** Records an intentional end, which is not a loss. */
	ended(): void {
		this.#state = 'idle'
		this.#sinceMs = undefined
	}
}
