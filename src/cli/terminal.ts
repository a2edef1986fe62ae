/**
 * What a command sees of the world around it: two streams, the environment and the time. Output respects
 * back-pressure, and a reader that went away ends it quietly.
 */
import type { Readable, Writable } from 'node:stream'

export interface Terminal {
	readonly stdin: Readable
	readonly stdinIsTerminal: boolean
	readonly stdout: Writable
	readonly stderr: Writable
	readonly stdoutIsTerminal: boolean
	readonly stderrIsTerminal: boolean
	readonly env: Readonly<Record<string, string | undefined>>
	readonly now: () => number
	/**
	 * From this call on, the first SIGINT, SIGTERM or SIGHUP aborts the signal instead of ending the process; the next one ends
	 * it. So many SIGINTs before it are passed over.
	 */
	readonly interrupted: (options?: { readonly sigintsPassed: number }) => AbortSignal
}

/** Data on its way to stdout. */
export class Output {
	readonly #stream: Writable
	#closed = false

	constructor(stream: Writable) {
		this.#stream = stream
		stream.on('error', (error: NodeJS.ErrnoException) => {
			if (error.code !== 'EPIPE') throw error
			this.#closed = true
		})
	}

	/** Nobody reads any more: stop. */
	get isClosed(): boolean {
		return this.#closed
	}

	/** Resolves when there is room for more, or nobody left to read it. */
	async write(data: string | Uint8Array): Promise<void> {
		if (this.#closed || data.length === 0 || this.#stream.write(data)) return
		await new Promise<void>((resolve) => {
			const done = () => {
				this.#stream.off('drain', done).off('close', done).off('error', done)
				resolve()
			}
			this.#stream.on('drain', done).on('close', done).on('error', done)
		})
	}
}

/** Paints a text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

const STYLES = {
	dim: [2, 22],
	bold: [1, 22],
	red: [31, 39],
	yellow: [33, 39],
	green: [32, 39],
	cyan: [36, 39],
} as const
export type Style = keyof typeof STYLES

/** Decides on colour: the option first, then `NO_COLOR`, `FORCE_COLOR`, then whether stdout is a terminal. */
export function paintFor(color: string, terminal: Terminal): Paint {
	return wantsColor(color, terminal)
		? (style, text) => `\x1b[${STYLES[style][0]}m${text}\x1b[${STYLES[style][1]}m`
		: (_style, text) => text
}

function wantsColor(color: string, { env, stdoutIsTerminal }: Terminal): boolean {
	if (color !== 'auto') return color === 'always'
	if ((env['NO_COLOR'] ?? '') !== '') return false
	const forced = env['FORCE_COLOR']
	if (forced !== undefined) return forced !== '0' && forced !== 'false'
	return stdoutIsTerminal && env['TERM'] !== 'dumb'
}

/** How a command ends. */
export const STATUS = { fine: 0, nothingMatched: 1, usage: 2, damage: 3 } as const
