/** Help, examples first, made from the table of commands. */
import type { Command, OptionSpec } from './command.ts'
import { ACCESS_HELP } from './open-source.ts'

const ADDRESSES = `
  FILE may be the address of a stream of NATS: nats://HOST:4222/STREAM, of one node with ?node=NODE behind it;
  ${ACCESS_HELP}`

const STATUSES = `Exit status
  0  ok, also after a torn tail; ok, N records lost, where the chain explains the loss
  1  nothing matched (dump --exit-status)
  2  wrong usage, or a file or stream cannot be read or written
  3  not ok: damage, or something was changed; with --strict also where records are lost; statements that did not go as recorded (replay-sql)
  4  cannot be checked: a repair or retention has removed what would be needed (verify, repair)`

/** All commands at a glance. */
export function overview(commands: readonly Command[]): string {
	const examples = commands.flatMap(({ examples: [first] }) => (first === undefined ? [] : [first]))
	const list = commands.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`)
	return `${exampleLines(examples)}

Usage
  mesh-chain COMMAND FILE [options]

Commands
${list.join('\n')}

  mesh-chain COMMAND --help shows a command's options.

${STATUSES}
`
}

/** One command in full. */
export function helpOf(command: Command): string {
	const options = [...command.options, { long: 'help', short: 'h', help: 'this text' }]
	return `${exampleLines(command.examples)}

Usage
  mesh-chain ${command.name} ${command.usage}
  ${command.summary}${command.takesAddresses ? ADDRESSES : ''}

Options
${options.map(optionLine).join('\n')}

${STATUSES}
`
}

function exampleLines(examples: Command['examples']): string {
	const lines = examples.flatMap(([line, does]) => [`  ${line}`, `      ${does}`])
	return ['Examples', ...lines].join('\n')
}

function optionLine(option: OptionSpec): string {
	const short = option.short === undefined ? '    ' : `-${option.short}, `
	const value = option.value === undefined ? '' : ` ${option.value}`
	return `  ${`${short}--${option.long}${value}`.padEnd(24)} ${option.help}`
}
