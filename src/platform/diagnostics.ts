/**
 * How mesh-chain speaks of itself: on `node:diagnostics_channel` for programs, and once per change of state
 * with `process.emitWarning` for people. Nothing is ever printed.
 */
import { channel } from 'node:diagnostics_channel'
import { escapeText } from '../text/escape.ts'

const channels = {
	/** `{ source, error }`: a loop or a chain cannot commit any more. */
	failing: channel('mesh-chain:failing'),
	/** `{ source }`: it can again. */
	recovered: channel('mesh-chain:recovered'),
	/** `{ source, gap }`: records were lost; `gap` is the `GapData`. */
	gap: channel('mesh-chain:gap'),
	/** `{ source, error, record }`: a listener threw or rejected. */
	listenerError: channel('mesh-chain:listener-error'),
	/**
	 * `{ source, record, bound }`: listeners published from listeners beyond the bound of that name: the record
	 * is kept, but not delivered.
	 */
	recursionCut: channel('mesh-chain:recursion-cut'),
	/** `{ source, line }`: a line was published after close. */
	publishedAfterClose: channel('mesh-chain:published-after-close'),
	/** `{ source, error, hook }`: the `context`, `transform` or `clock` a user gave threw. */
	hookError: channel('mesh-chain:hook-error'),
	/** `{ source, recovery }`: a chain was opened that did not end as a writer leaves it. */
	recovery: channel('mesh-chain:recovery'),
}

interface Message {
	readonly source: object
	readonly [name: string]: unknown
}

/** Those of whom something is being told on a channel at this moment. */
const speaking: Partial<Record<keyof typeof channels, Set<object>>> = {}

/**
 * Tells programs that listen. A listener's throw is Node's to report; it never comes back here. What a
 * listener causes the same source to tell on the same channel is not told: one that publishes what it hears
 * would hear of that too, without end.
 */
export function report(event: keyof typeof channels, message: Message): void {
	const target = channels[event]
	if (!target.hasSubscribers) return
	speaking[event] ??= new Set()
	const sources = speaking[event]
	if (sources.has(message.source)) return
	sources.add(message.source)
	try {
		target.publish(message)
	} finally {
		sources.delete(message.source)
	}
}

/**
 * Tells people, through Node's own warning, which Node prints. `code` is stable: `MESH_CHAIN_…`. The message
 * is escaped: names and errors in it come from elsewhere.
 */
export function warn(code: string, message: string): void {
	try {
		process.emitWarning(escapeText(message), { type: 'MeshChainWarning', code: `MESH_CHAIN_${code}` })
	} catch {
		// A program may have put something of its own in its place.
	}
}
