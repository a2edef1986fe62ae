/** Defines the options for the format and the colours of the output. */
import type { Invocation, OptionSpec } from './command.ts'
import { type Paint, paintFor, type Terminal } from './terminal.ts'

const COLORS = ['auto', 'always', 'never'] as const

/** The option that turns colours on or off. */
export const COLOR_OPTION = {
	long: 'color',
	value: 'WHEN',
	choices: COLORS,
	default: COLORS[0],
	help: 'use of colour, where auto follows NO_COLOR, FORCE_COLOR and the terminal',
} as const satisfies OptionSpec

/** The options of commands that print one report rather than records. */
export const REPORT_OPTIONS: readonly OptionSpec[] = [
	{
		long: 'output',
		short: 'o',
		value: 'FORMAT',
		choices: ['pretty', 'json'],
		default: 'pretty',
		help: 'output format',
	},
	COLOR_OPTION,
]

/** Whether a report is printed as JSON. */
export function isJson(invocation: Invocation): boolean {
	return invocation.text('output') === 'json'
}

/** Returns the colours that the command line and the environment ask for. */
export function paintOf(invocation: Invocation, terminal: Terminal): Paint {
	const color = invocation.text(COLOR_OPTION.long)
	return paintFor(COLORS.find((each) => each === color) ?? 'auto', terminal)
}
