/** Defines the options for the format and the colour of the output. */

import type { Paint } from '../pretty/paint.ts'
import type { Invocation, OptionSpec } from './command.ts'
import { paintFor, type Terminal } from './terminal.ts'

const COLORS = ['auto', 'always', 'never'] as const

/** The option that turns colour on or off. */
export const COLOR_OPTION = {
	long: 'color',
	value: 'WHEN',
	choices: COLORS,
	default: COLORS[0],
	help: 'when to use colour (auto obeys NO_COLOR and FORCE_COLOR, then checks for a terminal)',
} as const satisfies OptionSpec

/** The options of commands that print a report instead of records. */
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

/** Returns whether the report is printed as JSON. */
export function isJson(invocation: Invocation): boolean {
	return invocation.text('output') === 'json'
}

/** Returns the paint function for the colour settings on the command line and in the environment. */
export function paintOf(invocation: Invocation, terminal: Terminal): Paint {
	const color = invocation.text(COLOR_OPTION.long)
	return paintFor(COLORS.find((each) => each === color) ?? 'auto', terminal)
}
