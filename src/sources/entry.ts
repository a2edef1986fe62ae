/** What the registry knows of a source: what it is, how it is archived, and what became of its samples. */
import type { LogRecord } from '../model/record.ts'
import type { ConnectionState } from './connection.ts'
import { newCounts, type SourceCounts } from './counters.ts'
import type { CheckMemory } from './sample-checks.ts'
import { checkSampleMode, type SampleMode } from './source.ts'

/** `inactive`: it was stopped. Only what is active is started by `restore`. */
export type SourceState = 'active' | 'paused' | 'inactive'

/** The newest value of a source. Times in ms since 1970. */
export interface LiveValue {
	readonly value: unknown
	/** By the source's own clock, where it has one. */
	readonly tsMs: number
	readonly receivedMs: number
}

export interface SourceEntry {
	readonly name: string
	/** Other names that it goes by. */
	readonly aliases: readonly string[]
	readonly mode: SampleMode
	/** The policy that decided the mode; null where none matched. */
	readonly policy: string | null
	readonly state: SourceState
	/** Extra fields that are attached to each sample. */
	readonly fields: readonly string[]
	/** What was given with `archive`, for whoever makes the source anew after a restart. */
	readonly details: unknown
	readonly connection: ConnectionState
	/** When the first sample of this connection came. */
	readonly connectedSinceMs: number | null
	/** The connection was lost then, and no sample has come since. */
	readonly lostMs: number | null
	readonly counts: Readonly<SourceCounts>
	readonly memory: Readonly<CheckMemory>
	/** Samples a second that were received, between the last two times that this was written. */
	readonly rate: number
	/** When it was archived first. */
	readonly sinceMs: number
}

/** Of a source that was never archived before. */
export function newEntry(
	name: string,
	nowMs: number,
): Omit<SourceEntry, 'mode' | 'policy' | 'fields' | 'details'> {
	return {
		name,
		aliases: [],
		state: 'active',
		connection: 'idle',
		connectedSinceMs: null,
		lostMs: null,
		counts: newCounts(),
		memory: { lastMs: null, type: null },
		rate: 0,
		sinceMs: nowMs,
	}
}

type Raw = { readonly [Name in keyof SourceEntry]?: unknown }

/** What a record of the registry says; undefined where it says nothing of use, because somebody else wrote it. */
export function entryFrom({ daemonId, data, tsMs }: LogRecord): SourceEntry | undefined {
	if (typeof daemonId !== 'string' || typeof data !== 'object' || data === null) return undefined
	const raw = data as Raw
	try {
		return {
			name: daemonId,
			aliases: textsOf(raw.aliases),
			mode: checkSampleMode(raw.mode),
			policy: typeof raw.policy === 'string' ? raw.policy : null,
			state: raw.state === 'active' || raw.state === 'paused' ? raw.state : 'inactive',
			fields: textsOf(raw.fields),
			details: raw.details ?? null,
			connection: connectionOf(raw.connection),
			connectedSinceMs: numberOf(raw.connectedSinceMs),
			lostMs: numberOf(raw.lostMs),
			counts: countsOf(raw.counts),
			memory: memoryOf(raw.memory),
			rate: numberOf(raw.rate) ?? 0,
			sinceMs: numberOf(raw.sinceMs) ?? tsMs,
		}
	} catch {
		return undefined
	}
}

function countsOf(raw: unknown): SourceCounts {
	const counts = newCounts()
	take(counts, raw)
	take(counts.dropped, (raw as { dropped?: unknown } | null | undefined)?.dropped)
	return counts
}

/** What has the right type; the rest stays as it is. */
function take(into: object, raw: unknown): void {
	const given = (raw ?? {}) as Record<string, unknown>
	for (const [name, value] of Object.entries(into)) {
		const isNumber = typeof value === 'number' || name.endsWith('Ms')
		const isFit = isNumber ? numberOf(given[name]) !== null : typeof given[name] === 'string'
		if (isFit && name !== 'dropped') (into as Record<string, unknown>)[name] = given[name]
	}
}

function memoryOf(raw: unknown): CheckMemory {
	const { lastMs, type } = (raw ?? {}) as Partial<Record<keyof CheckMemory, unknown>>
	return { lastMs: numberOf(lastMs), type: typeof type === 'string' ? type : null }
}

function connectionOf(raw: unknown): ConnectionState {
	return raw === 'connecting' || raw === 'connected' || raw === 'disconnected' ? raw : 'idle'
}

function textsOf(raw: unknown): readonly string[] {
	return Array.isArray(raw) ? raw.filter((item) => typeof item === 'string') : []
}

function numberOf(raw: unknown): number | null {
	return typeof raw === 'number' && Number.isFinite(raw) ? raw : null
}
