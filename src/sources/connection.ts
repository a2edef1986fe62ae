/** Whether a source is there, by what is seen of it: a first sample says that it is. */

export type ConnectionState = 'idle' | 'connecting' | 'connected' | 'disconnected'

/** When the connection was lost, and when a sample said that it is back. In ms since 1970. */
export interface Regained {
	readonly lostMs: number
	readonly regainedMs: number
}

export class Connection {
	#state: ConnectionState = 'idle'
	#sinceMs: number | null = null
	/** Of a loss that no sample has told of yet. */
	#lostMs: number | null

	constructor(lostMs: number | null = null) {
		this.#lostMs = lostMs
	}

	get state(): ConnectionState {
		return this.#state
	}

	/** When the first sample of this connection came; null where there is none. */
	get sinceMs(): number | null {
		return this.#sinceMs
	}

	get lostMs(): number | null {
		return this.#lostMs
	}

	/** The next sample is the first one of a connection. */
	get isFirst(): boolean {
		return this.#sinceMs === null
	}

	connecting(): void {
		if (this.#state === 'idle') this.#state = 'connecting'
	}

	/** A sample came. Tells of a connection that was lost before, once. */
	seen(nowMs: number): Regained | undefined {
		if (this.#sinceMs !== null) return undefined
		this.#state = 'connected'
		this.#sinceMs = nowMs
		if (this.#lostMs === null) return undefined
		const regained = { lostMs: this.#lostMs, regainedMs: nowMs }
		this.#lostMs = null
		return regained
	}

	/** Whether there was one to be lost. */
	lost(nowMs: number): boolean {
		if (this.#state !== 'connected') return false
		this.#state = 'disconnected'
		this.#sinceMs = null
		this.#lostMs = nowMs
		return true
	}

	/** It was ended on purpose, which is no loss. */
	ended(): void {
		this.#state = 'idle'
		this.#sinceMs = null
	}
}
