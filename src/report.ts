/**
 * How mesh-chain speaks of itself: on `node:diagnostics_channel` for programs, and once per change of state with
 * `process.emitWarning` for people. Nothing is ever printed.
 */
import { channel } from 'node:diagnostics_channel'
import { escapeText } from './escape.ts'

const channels = {
	/** `{ source, error }`: a loop or a chain cannot commit any more. */
	failing: channel('mesh-chain:failing'),
	/** `{ source }`: it can again. */
	recovered: channel('mesh-chain:recovered'),
	/** `{ source, gap }`: records were lost; `gap` is the `GapData`. */
	gap: channel('mesh-chain:gap'),
	/** `{ source, error, record }`: a listener threw or rejected. */
	listenerError: channel('mesh-chain:listener-error'),
	/** `{ source, record }`: listeners publishing from listeners were cut off. */
	recursionCut: channel('mesh-chain:recursion-cut'),
	/** `{ source, line }`: a line was published after close. */
	publishedAfterClose: channel('mesh-chain:published-after-close'),
	/** `{ source, error, hook }`: the `context`, `transform` or `clock` a user gave threw. */
	hookError: channel('mesh-chain:hook-error'),
	/** `{ source, recovery }`: a chain was opened that did not end as a writer leaves it. */
	recovery: channel('mesh-chain:recovery'),
}

/** Tells programs that listen. A listener's throw is Node's to report; it never comes back here. */
export function report(event: keyof typeof channels, message: object): void {
	const target = channels[event]
	if (target.hasSubscribers) target.publish(message)
}

/**
 * Tells people, through Node's own warning, which Node prints. `code` is stable: `MESH_CHAIN_…`. The message is escaped: names and errors
 * in it come from elsewhere.
 */
export function warn(code: string, message: string): void {
	process.emitWarning(escapeText(message), { type: 'MeshChainWarning', code: `MESH_CHAIN_${code}` })
}
