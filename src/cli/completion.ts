/** `mesh-chain completion`: scripts for shells, made from the one table of commands. */
import { type Command, usage } from './command.ts'
import { bashScript, fishScript, zshScript } from './completion-scripts.ts'
import { printableLines } from './printable.ts'
import { STATUS } from './terminal.ts'

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const

/** @param commands read when the script is made, because this command is one of them. */
export function completionOf(commands: () => readonly Command[]): Command {
	return {
		name: 'completion',
		summary: 'print a completion script for bash, zsh or fish',
		usage: 'SHELL',
		words: Object.keys(SCRIPTS),
		examples: [
			['source <(mesh-chain completion bash)', 'for this shell; put it into ~/.bashrc to keep it'],
			['mesh-chain completion zsh > "$fpath[1]/_mesh-chain"', 'for zsh'],
			['mesh-chain completion fish > ~/.config/fish/completions/mesh-chain.fish', 'for fish'],
		],
		options: [],
		async run(invocation, terminal) {
			const shell = invocation.file
			if (!Object.hasOwn(SCRIPTS, shell)) {
				throw usage(`completion is for ${Object.keys(SCRIPTS).join(', ')}, not ${JSON.stringify(shell)}`)
			}
			const script = SCRIPTS[shell as keyof typeof SCRIPTS]
			await terminal.stdout.write(printableLines(script(commands())))
			return STATUS.fine
		},
	}
}
