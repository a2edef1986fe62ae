/**
 * Builds the help from the table of commands. The overview and the help for each command start with examples.
 */
import type { Command, OptionSpec } from './command.ts'
import { STATUS_TABLE, type StatusText } from './exit-status.ts'

const WIDTH = 100
const OPTION_COLUMN = 28
const VARIABLE_COLUMN = 28
const STATUS_COLUMN = 9
const HELP_OPTION: OptionSpec = { long: 'help', short: 'h', help: 'show this help' }

/** Returns the overview of all commands. */
export function overview(commands: readonly Command[]): string {
	const examples = commands.flatMap(({ examples: [first] }) => (first === undefined ? [] : [first]))
	const column = 4 + Math.max(...commands.map(({ name }) => name.length))
	return `${exampleLines(examples)}

Usage
  mesh-chain COMMAND FILE [options]
  mesh-chain COMMAND --help       options and exit statuses of one command
  mesh-chain --version            version of mesh-chain

Commands
${commands.map(({ name, summary }) => entry(name, summary, column)).join('\n')}

${statusLines(STATUS_TABLE)}
`
}

/** Returns the full help of one command. */
export function helpOf(command: Command): string {
	const { name, usage, summary, takesAddresses, environment = [] } = command
	const sections = [
		exampleLines(command.examples),
		['Usage', `  mesh-chain ${name} ${usage}`, '', ...wrapped(sentence(summary), 2)].join('\n'),
		...(takesAddresses ? [wrapped(ADDRESSES, 2).join('\n')] : []),
		['Options', ...allOptions(command).map(optionLine)].join('\n'),
		...(environment.length === 0
			? []
			: [
					[
						'Environment',
						...environment.map(([names, meaning]) => entry(names, meaning, VARIABLE_COLUMN)),
					].join('\n'),
				]),
		statusLines(command.statuses),
	]
	return `${sections.join('\n\n')}\n`
}

/** Returns the options of a command, including the options that all commands share. */
export function allOptions(command: Command): readonly OptionSpec[] {
	return [...command.options, HELP_OPTION]
}

/** Returns the description of an option: its meaning, its values and its default. */
export function descriptionOf({ help, choices, default: fixed, defaultText = fixed }: OptionSpec): string {
	const values = choices === undefined ? '' : `: ${choices.join(', ')}`
	return `${help}${values}${defaultText === undefined ? '' : `. Default: ${defaultText}`}`
}

const ADDRESSES =
	'FILE can be the address of a NATS stream: nats://HOST:4222/STREAM. Append ?node=NODE to select one node.'

function exampleLines(examples: Command['examples']): string {
	const lines = examples.flatMap(([line, does]) => [`  ${line}`, ...wrapped(does, 6)])
	return ['Examples', ...lines].join('\n')
}

function optionLine(option: OptionSpec): string {
	const short = option.short === undefined ? '    ' : `-${option.short}, `
	const value = option.value === undefined ? '' : ` ${option.value}`
	return entry(`${short}--${option.long}${value}`, descriptionOf(option), OPTION_COLUMN)
}

function statusLines(statuses: readonly StatusText[]): string {
	return [
		'Exit status',
		...statuses.map(([status, text]) => entry(String(status), text, STATUS_COLUMN)),
	].join('\n')
}

/**
 * Formats a name and its description. The description starts at `column`. If the name is too long, the
 * description starts on the next line.
 */
function entry(name: string, text: string, column: number): string {
	const [first = '', ...rest] = wrapped(text, column)
	const head = `  ${name}`
	if (head.length + 1 > column) return [head, first, ...rest].join('\n')
	return [head.padEnd(column) + first.slice(column), ...rest].join('\n')
}

/** Wraps text into lines, each indented by `indent` spaces. */
function wrapped(text: string, indent: number): string[] {
	const lines: string[] = []
	let line = ''
	for (const word of text.split(' ')) {
		if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
			lines.push(line)
			line = ''
		}
		line = line === '' ? word : `${line} ${word}`
	}
	return [...lines, line].map((each) => ' '.repeat(indent) + each)
}

function sentence(text: string): string {
	return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
