/** Builds completion scripts from the table of commands. */
import type { Command, OptionSpec } from './command.ts'
import { allOptions } from './help.ts'

/** Builds the bash script: one function that selects completions by the command and the previous word. */
export function bashScript(commands: readonly Command[]): string {
	const values = commands.flatMap((command) =>
		allOptions(command)
			.filter(({ value }) => value !== undefined)
			.map((option) => {
				const names = namesOf(option).map((name) => `'${command.name} ${name}'`)
				const reply =
					option.choices === undefined
						? ''
						: ` COMPREPLY=($(compgen -W '${option.choices.join(' ')}' -- "$cur"));`
				return `\t\t${names.join(' | ')})${reply} return ;;`
			}),
	)
	const options = commands.map(
		(command) => `\t\t\t${command.name}) words='${allOptions(command).flatMap(namesOf).join(' ')}' ;;`,
	)
	const words = commands
		.filter((command) => command.words !== undefined)
		.map(({ name, words = [], filesFollow }) => {
			const reply = `COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$cur")); return`
			return `\t\t${name}) ${filesFollow ? `if [ "$COMP_CWORD" -eq 2 ]; then ${reply}; fi` : reply} ;;`
		})
	const wordAt = (index: string) => `"\${COMP_WORDS[${index}]}"`
	return `# bash completion for mesh-chain
_mesh_chain() {
	local cur=${wordAt('COMP_CWORD')} prev=${wordAt('COMP_CWORD - 1')} command=${wordAt('1')} words=
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$cur"))
		return
	fi
	case "$command $prev" in
${values.join('\n')}
	esac
	if [ "\${cur:0:1}" = - ]; then
		case "$command" in
${options.join('\n')}
		esac
		COMPREPLY=($(compgen -W "$words" -- "$cur"))
		return
	fi
	case "$command" in
${words.join('\n')}
	esac
	COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _mesh_chain mesh-chain
`
}

/** Builds the zsh script: one call to `_arguments` for each command. */
export function zshScript(commands: readonly Command[]): string {
	const list = commands.map(({ name, summary }) => `\t\t${quoted(`${name}:${summary}`)}`)
	const cases = commands.map((command) => {
		const specs = allOptions(command).map(zshSpec)
		const words = command.words === undefined ? [] : [`1:word:(${command.words.join(' ')})`]
		const files = command.words === undefined || command.filesFollow ? ['*:file:_files'] : []
		return `\t\t${command.name}) _arguments ${[...specs, ...[...words, ...files].map(quoted)].join(' ')} ;;`
	})
	return `#compdef mesh-chain
_mesh_chain() {
	local -a commands=(
${list.join('\n')}
	)
	if (( CURRENT == 2 )); then
		_describe command commands
		return
	fi
	local command=$words[2]
	shift words
	(( CURRENT-- ))
	case $command in
${cases.join('\n')}
	esac
}
if [ "$funcstack[1]" = _mesh-chain ]; then
	_mesh_chain "$@"
else
	compdef _mesh_chain mesh-chain
fi
`
}

/** Builds the fish script: one line for each option. */
export function fishScript(commands: readonly Command[]): string {
	const lines = commands.flatMap((command) => {
		const seen = `complete -c mesh-chain -n '__fish_seen_subcommand_from ${command.name}'`
		return [
			`complete -c mesh-chain -f -n __fish_use_subcommand -a ${command.name} -d ${quoted(command.summary)}`,
			...fishWords(command),
			...allOptions(command).map((option) => {
				const short = option.short === undefined ? '' : ` -s ${option.short}`
				const takes = option.value === undefined ? '' : ' -x'
				const choices = option.choices === undefined ? '' : ` -a '${option.choices.join(' ')}'`
				return `${seen} -l ${option.long}${short}${takes}${choices} -d ${quoted(option.help)}`
			}),
		]
	})
	return `# fish completion for mesh-chain\n${lines.join('\n')}\n`
}

function fishWords({ name, words, filesFollow }: Command): string[] {
	if (words === undefined) return []
	const list = words.join(' ')
	const until = filesFollow ? `; and not __fish_seen_subcommand_from ${list}` : ''
	return [`complete -c mesh-chain -n '__fish_seen_subcommand_from ${name}${until}' -f -a '${list}'`]
}

function namesOf({ long, short }: OptionSpec): string[] {
	return short === undefined ? [`--${long}`] : [`-${short}`, `--${long}`]
}

function zshSpec(option: OptionSpec): string {
	const names = namesOf(option)
	const help = `[${option.help.replaceAll(/[[\]\\]/g, '\\$&')}]`
	const values = option.choices === undefined ? ' ' : `(${option.choices.join(' ')})`
	const value = option.value === undefined ? '' : `:${option.value}:${values}`
	const many = option.multiple === true ? '*' : `(${names.join(' ')})`
	return names.map((name) => quoted(`${many}${name}${help}${value}`)).join(' ')
}

/** Quotes a word so that all three shells read it unchanged. */
function quoted(text: string): string {
	return `'${text.replaceAll("'", "'\\''")}'`
}
