/**
 * What a command sees of the world around it: two streams, the environment and the time. Output respects
 * back-pressure, and a reader that went away ends it quietly.
 */
import type { Readable, Writable } from 'node:stream'
import { MeshChainError, messageOf } from '../errors.ts'
import { systemCode } from '../file-system.ts'

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
	#failure: Error | undefined

	constructor(stream: Writable) {
		this.#stream = stream
		stream.on('error', (error) => this.#fail(error))
	}

	/** Nobody reads any more: stop. */
	get isClosed(): boolean {
		return systemCode(this.#failure) === 'EPIPE'
	}

	/**
	 * Resolves when it is passed on, or nobody is left to read it.
	 *
	 * @throws {MeshChainError} `OUTPUT_FAILED`, as on a full disk.
	 */
	async write(data: string | Uint8Array): Promise<void> {
		if (this.isClosed || data.length === 0) return
		await new Promise<void>((resolve) => {
			this.#stream.write(data, (error) => {
				if (error) this.#fail(error)
				resolve()
			})
		})
		if (this.#failure === undefined || this.isClosed) return
		const text = `cannot write to stdout: ${messageOf(this.#failure)}`
		throw new MeshChainError('OUTPUT_FAILED', text, { cause: this.#failure })
	}

	/** The first one has the reason. */
	#fail(error: Error): void {
		this.#failure ??= error
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
export const STATUS = { fine: 0, nothingMatched: 1, usage: 2, damage: 3, unchecked: 4 } as const
