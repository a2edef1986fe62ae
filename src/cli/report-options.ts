/** The options of commands that end in one report rather than in records. */
import type { OptionSpec } from './command.ts'

export const COLOR_OPTION = {
	long: 'color',
	value: 'WHEN',
	choices: ['auto', 'always', 'never'],
	help: 'colour: auto (on a terminal), always, never',
} as const satisfies OptionSpec

export const REPORT_OPTIONS: readonly OptionSpec[] = [
	{ long: 'output', short: 'o', value: 'FORMAT', choices: ['pretty', 'json'], help: 'pretty or json' },
	COLOR_OPTION,
]
