/** The registry's entry for a source: its names, options, state and counters. */
import type { LogRecord } from '../model/record.ts'
import type { ConnectionState } from './connection.ts'
import { newCounts, type SourceCounts } from './counters.ts'
import type { CheckMemory } from './sample-checks.ts'
import { checkSampleMode, type SampleMode } from './source.ts'

/**
 * State of a source. The states `paused` and `inactive` (stopped) survive restarts, because `restore` starts
 * only active sources.
 */
export type SourceState = 'active' | 'paused' | 'inactive'

/** The newest value of a source. Times are in ms since 1970. */
export interface LiveValue {
	/** The value, in canonical form. */
	readonly value: unknown
	/** Time from the source's own clock, or the time of receipt if the source has no clock. */
	readonly tsMs: number
	/** Time at which the value was received. */
	readonly receivedMs: number
}

/** A source in the registry. A field without a value is undefined here and absent from the record. */
export interface SourceEntry {
	/** Name of the source. */
	readonly name: string
	/** Other names of the source. */
	readonly aliases: readonly string[]
	/** Mode of the source. */
	readonly mode: SampleMode
	/** Name of the policy that determined the mode; undefined if no policy matched. */
	readonly policy: string | undefined
	/** Whether the source is active, paused or stopped. */
	readonly state: SourceState
	/** Names of the extra fields that are attached to each sample. */
	readonly fields: readonly string[]
	/** The `details` option of `archive`, for the code that recreates the source after a restart. */
	readonly details: unknown
	/** Connection state of the source. */
	readonly connection: ConnectionState
	/** Time of the first sample of the current connection; undefined if the source is not connected. */
	readonly connectedSinceMs: number | undefined
	/** Time at which the connection was lost; undefined if it was never lost or has been regained. */
	readonly lostMs: number | undefined
	/** Counters of the source. */
	readonly counts: Readonly<SourceCounts>
	/** State of the sample checks. */
	readonly memory: Readonly<CheckMemory>
	/** Number of samples received per second between the last two measurements. */
	readonly rate: number
	/** Time at which the source was first archived. */
	readonly sinceMs: number
}

/** Returns the entry for a source that is archived for the first time. */
export function newEntry(
	name: string,
	nowMs: number,
): Omit<SourceEntry, 'mode' | 'policy' | 'fields' | 'details'> {
	return {
		name,
		aliases: [],
		state: 'active',
		connection: 'idle',
		connectedSinceMs: undefined,
		lostMs: undefined,
		counts: newCounts(),
		memory: { lastMs: undefined, type: undefined },
		rate: 0,
		sinceMs: nowMs,
	}
}

type Raw = { readonly [Name in keyof SourceEntry]?: unknown }

/**
 * Returns the entry in a registry record; undefined if the record contains no entry, for example because
 * another program wrote the record.
 */
export function entryFrom({ daemonId, data, tsMs }: LogRecord): SourceEntry | undefined {
	if (typeof daemonId !== 'string' || typeof data !== 'object' || data === null) return undefined
	const raw = data as Raw
	try {
		return {
			name: daemonId,
			aliases: textsOf(raw.aliases),
			mode: checkSampleMode(raw.mode),
			policy: typeof raw.policy === 'string' ? raw.policy : undefined,
			state: raw.state === 'active' || raw.state === 'paused' ? raw.state : 'inactive',
			fields: textsOf(raw.fields),
			details: raw.details,
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

/** Copies the fields of `raw` that have the correct type. The other fields of `into` keep their values. */
function take(into: object, raw: unknown): void {
	const given = (raw ?? {}) as Record<string, unknown>
	for (const [name, value] of Object.entries(into)) {
		const isNumber = typeof value === 'number' || name.endsWith('Ms')
		const isFit = isNumber ? numberOf(given[name]) !== undefined : typeof given[name] === 'string'
		if (isFit && name !== 'dropped') (into as Record<string, unknown>)[name] = given[name]
	}
}

function memoryOf(raw: unknown): CheckMemory {
	const { lastMs, type } = (raw ?? {}) as Partial<Record<keyof CheckMemory, unknown>>
	return { lastMs: numberOf(lastMs), type: typeof type === 'string' ? type : undefined }
}

function connectionOf(raw: unknown): ConnectionState {
	return raw === 'connecting' || raw === 'connected' || raw === 'disconnected' ? raw : 'idle'
}

function textsOf(raw: unknown): readonly string[] {
	return Array.isArray(raw) ? raw.filter((item) => typeof item === 'string') : []
}

function numberOf(raw: unknown): number | undefined {
	return typeof raw === 'number' && Number.isFinite(raw) ? raw : undefined
}
