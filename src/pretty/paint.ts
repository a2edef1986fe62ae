/** Decides whether text is coloured, and colours it. */
import { colored, type Printable, printable } from './printable.ts'

/** Makes a value printable, in colour if colour is on. */
export type Paint = (style: Style, value: unknown) => Printable

const STYLES = {
	dim: [2, 22],
	bold: [1, 22],
	red: [31, 39],
	yellow: [33, 39],
	green: [32, 39],
	cyan: [36, 39],
} as const
/** A text colour or weight. */
export type Style = keyof typeof STYLES

/** Returns a function that paints in colour if `isColored` is true. */
export function painter(isColored: boolean): Paint {
	return isColored ? (style, value) => colored(STYLES[style], value) : (_style, value) => printable(value)
}

/**
 * Returns whether text for a stream is coloured. `NO_COLOR` takes precedence over `FORCE_COLOR`. If neither
 * is set, text is coloured if the stream is a terminal and `TERM` is not `dumb`.
 */
export function wantsColor(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
	if ((env['NO_COLOR'] ?? '') !== '') return false
	const forced = env['FORCE_COLOR']
	if (forced !== undefined) return forced !== '0' && forced !== 'false'
	return isTerminal && env['TERM'] !== 'dumb'
}
