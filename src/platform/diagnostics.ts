/**
 * The diagnostics of mesh-chain. Programs receive them through `node:diagnostics_channel`. Users see them as
 * warnings from `process.emitWarning`, once per change of state. This module prints nothing itself.
 */
import { channel } from 'node:diagnostics_channel'
import { escapeText } from '../text/escape.ts'

const channels = {
	/** `{ source, error }`: a loop or a chain currently cannot commit records. */
	failing: channel('mesh-chain:failing'),
	/** `{ source }`: a loop or a chain can commit records again. */
	recovered: channel('mesh-chain:recovered'),
	/** `{ source, gap }`: records were lost. `gap` is a `GapData` object. */
	gap: channel('mesh-chain:gap'),
	/** `{ source, error, record }`: a listener threw or rejected. */
	listenerError: channel('mesh-chain:listener-error'),
	/**
	 * `{ source, record, bound }`: nested publishing by listeners exceeded the option that `bound` names. The
	 * record is kept, but not delivered to listeners.
	 */
	recursionCut: channel('mesh-chain:recursion-cut'),
	/** `{ source, line }`: a line was published through a closed loop. */
	publishedAfterClose: channel('mesh-chain:published-after-close'),
	/** `{ source, error, hook }`: a `context`, `transform` or `clock` hook failed. */
	hookError: channel('mesh-chain:hook-error'),
	/** `{ source, recovery }`: a chain was opened that had not been closed cleanly. */
	recovery: channel('mesh-chain:recovery'),
}

interface Message {
	readonly source: object
	readonly [name: string]: unknown
}

/** For each channel, the sources whose messages are being published. */
const speaking: Partial<Record<keyof typeof channels, Set<object>>> = {}

/**
 * Publishes a message on a channel. Node reports errors from subscribers as uncaught exceptions, so these
 * errors do not reach the caller. If a subscriber causes another message from the same source on the same
 * channel, that message is not published. Without this rule, a subscriber that publishes records could cause
 * endless messages.
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
 * Emits a process warning, which Node prints by default. Its code, `MESH_CHAIN_…`, is stable. The message is
 * escaped, because it can contain names and error messages from outside mesh-chain.
 */
export function warn(code: string, message: string): void {
	try {
		process.emitWarning(escapeText(message), { type: 'MeshChainWarning', code: `MESH_CHAIN_${code}` })
	} catch {
		// The application may have replaced `emitWarning`.
	}
}
