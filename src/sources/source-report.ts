/** Creates the operator's report on all sources: the sources that need attention, and the losses by cause. */
import { SILENT_MS } from '../model/limits.ts'
import { type DroppedCounts, droppedTotal, newCounts } from './counters.ts'
import type { SourceEntry } from './entry.ts'

/** The state and losses of all sources. Times are in ms since 1970. */
export interface SourceReport {
	/** Number of sources. */
	readonly sources: number
	/** Number of active sources. */
	readonly active: number
	/** Names of the paused sources. */
	readonly paused: readonly string[]
	/** Names of the stopped sources. */
	readonly inactive: readonly string[]
	/** Active sources that have never delivered a sample. */
	readonly neverConnected: readonly string[]
	/** Active sources whose connection is lost. */
	readonly disconnected: readonly { readonly name: string; readonly lostMs: number }[]
	/** Active sources that have delivered samples, but none in the last hour. */
	readonly silent: readonly { readonly name: string; readonly lastEventMs: number }[]
	/** Number of samples received per second from all active sources. */
	readonly rate: number
	/** Estimated size of the stored samples, in bytes. */
	readonly storedBytes: number
	/** Number of samples received from all sources. */
	readonly received: number
	readonly stored: number
	/** Number of samples that were not stored, by cause, across all sources. */
	readonly dropped: Readonly<DroppedCounts>
	/** Sources with dropped samples, sorted by the number of dropped samples, largest first. */
	readonly losses: readonly ({ readonly name: string; readonly total: number } & Readonly<DroppedCounts>)[]
	/** Sources that have lost a connection, sorted by the number of lost connections, largest first. */
	readonly lostConnections: readonly {
		readonly name: string
		readonly disconnects: number
		readonly lastDisconnectMs: number | undefined
	}[]
}

/** Returns the report for the entries of a registry, as of `nowMs`. */
export function sourceReport(entries: readonly SourceEntry[], nowMs: number): SourceReport {
	const active = entries.filter(({ state }) => state === 'active')
	return {
		sources: entries.length,
		active: active.length,
		paused: namesOf(entries.filter(({ state }) => state === 'paused')),
		inactive: namesOf(entries.filter(({ state }) => state === 'inactive')),
		neverConnected: namesOf(active.filter(({ counts }) => counts.firstEventMs === undefined)),
		disconnected: active
			.filter(({ lostMs }) => lostMs !== undefined)
			.map(({ name, lostMs }) => ({ name, lostMs: lostMs! })),
		silent: active
			.filter(({ counts }) => counts.lastEventMs !== undefined && nowMs - counts.lastEventMs >= SILENT_MS)
			.map(({ name, counts }) => ({ name, lastEventMs: counts.lastEventMs! })),
		rate: sum(active, ({ rate }) => rate),
		storedBytes: sum(entries, ({ counts }) => counts.storedBytes),
		received: sum(entries, ({ counts }) => counts.received),
		stored: sum(entries, ({ counts }) => counts.stored),
		dropped: droppedOf(entries),
		losses: entries
			.map(({ name, counts }) => ({ name, total: droppedTotal(counts), ...counts.dropped }))
			.filter(({ total }) => total > 0)
			.sort((a, b) => b.total - a.total),
		lostConnections: entries
			.filter(({ counts }) => counts.disconnects > 0)
			.map(({ name, counts: { disconnects, lastDisconnectMs } }) => ({ name, disconnects, lastDisconnectMs }))
			.sort((a, b) => b.disconnects - a.disconnects),
	}
}

function namesOf(entries: readonly SourceEntry[]): string[] {
	return entries.map(({ name }) => name)
}

function sum(entries: readonly SourceEntry[], of: (entry: SourceEntry) => number): number {
	return entries.reduce((total, entry) => total + of(entry), 0)
}

function droppedOf(entries: readonly SourceEntry[]): DroppedCounts {
	const total = newCounts().dropped
	for (const cause of Object.keys(total) as (keyof DroppedCounts)[]) {
		total[cause] = sum(entries, ({ counts }) => counts.dropped[cause])
	}
	return total
}
