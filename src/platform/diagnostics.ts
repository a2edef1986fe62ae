/**
 * The diagnostics of mesh-chain. Programs receive them on `node:diagnostics_channel`. People receive them
 * through `process.emitWarning`, once for each change of state. This module prints nothing itself.
 */
import { channel } from 'node:diagnostics_channel'
import { escapeText } from '../text/escape.ts'

const channels = {
	/** `{ source, error }`: a loop or a chain cannot commit at present. */
	failing: channel('mesh-chain:failing'),
	/** `{ source }`: a loop or a chain can commit again. */
	recovered: channel('mesh-chain:recovered'),
	/** `{ source, gap }`: records were lost; `gap` is the `GapData`. */
	gap: channel('mesh-chain:gap'),
	/** `{ source, error, record }`: a listener threw or rejected. */
	listenerError: channel('mesh-chain:listener-error'),
	/**
	 * `{ source, record, bound }`: publishing from within listeners exceeded that bound; the record is kept,
	 * but not delivered.
	 */
	recursionCut: channel('mesh-chain:recursion-cut'),
	/** `{ source, line }`: a line was published after close. */
	publishedAfterClose: channel('mesh-chain:published-after-close'),
	/** `{ source, error, hook }`: a `context`, `transform` or `clock` hook of the application failed. */
	hookError: channel('mesh-chain:hook-error'),
	/** `{ source, recovery }`: the end of an opened chain differs from what a writer leaves at a close. */
	recovery: channel('mesh-chain:recovery'),
}

interface Message {
	readonly source: object
	readonly [name: string]: unknown
}

/** The sources of the messages that a channel is publishing at present. */
const speaking: Partial<Record<keyof typeof channels, Set<object>>> = {}

/**
 * Publishes a message on a channel. Node reports errors of subscribers; they do not reach the caller. A
 * message of the same source and channel that a subscriber causes is not published: otherwise a subscriber
 * that publishes records would cause endless messages.
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
 * Emits a Node warning, which Node prints. `code` is stable: `MESH_CHAIN_…`. The message is escaped, because
 * it can contain foreign names and errors.
 */
export function warn(code: string, message: string): void {
	try {
		process.emitWarning(escapeText(message), { type: 'MeshChainWarning', code: `MESH_CHAIN_${code}` })
	} catch {
		// The application may have replaced `emitWarning`.
	}
}
