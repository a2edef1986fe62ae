/**
 * The diagnostics of mesh-chain: on `node:diagnostics_channel` for programs, and once for each change of
 * state with `process.emitWarning` for people. Nothing is printed.
 */
import { channel } from 'node:diagnostics_channel'
import { escapeText } from '../text/escape.ts'

const channels = {
	/** `{ source, error }`: a loop or a chain cannot commit at present. */
	failing: channel('mesh-chain:failing'),
	/** `{ source }`: it can commit again. */
	recovered: channel('mesh-chain:recovered'),
	/** `{ source, gap }`: records were lost; `gap` is the `GapData`. */
	gap: channel('mesh-chain:gap'),
	/** `{ source, error, record }`: a listener threw or rejected. */
	listenerError: channel('mesh-chain:listener-error'),
	/**
	 * `{ source, record, bound }`: listeners published from listeners beyond that bound; the record is kept, not
	 * delivered.
	 */
	recursionCut: channel('mesh-chain:recursion-cut'),
	/** `{ source, line }`: a line was published after close. */
	publishedAfterClose: channel('mesh-chain:published-after-close'),
	/** `{ source, error, hook }`: the `context`, `transform` or `clock` of a user failed. */
	hookError: channel('mesh-chain:hook-error'),
	/** `{ source, recovery }`: an opened chain did not end as a writer leaves it. */
	recovery: channel('mesh-chain:recovery'),
}

interface Message {
	readonly source: object
	readonly [name: string]: unknown
}

/** The sources of the messages that a channel is publishing at this moment. */
const speaking: Partial<Record<keyof typeof channels, Set<object>>> = {}

/**
 * Publishes a message on a channel. Node reports what a subscriber throws; it does not return here. A message
 * that a subscriber causes, of the same source and channel, is not published: a subscriber that publishes
 * records would otherwise cause messages without end.
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
 * Emits a warning of Node, which Node prints. `code` is stable: `MESH_CHAIN_…`. The message is escaped,
 * because names and errors in it come from elsewhere.
 */
export function warn(code: string, message: string): void {
	try {
		process.emitWarning(escapeText(message), { type: 'MeshChainWarning', code: `MESH_CHAIN_${code}` })
	} catch {
		// A program may have replaced `emitWarning`.
	}
}
