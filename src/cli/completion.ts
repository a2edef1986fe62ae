/** Implements `mesh-chain completion`, which prints completion scripts for shells. */
import { type Command, usage } from './command.ts'
import { bashScript, fishScript, zshScript } from './completion-scripts.ts'
import { STATUS, statusTexts } from './exit-status.ts'
import { printableLines } from './printable.ts'

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const

/**
 * @param commands Function that returns the table of commands. It is called only when a script is built,
 * because the table contains this command.
 */
export function completionOf(commands: () => readonly Command[]): Command {
	return {
		name: 'completion',
		summary: 'print a completion script for bash, zsh or fish',
		usage: 'SHELL',
		words: Object.keys(SCRIPTS),
		examples: [
			[
				'source <(mesh-chain completion bash)',
				'enables completion in this shell; add the line to ~/.bashrc to enable it in every new shell',
			],
			['mesh-chain completion zsh > "$fpath[1]/_mesh-chain"', 'installs completion for zsh'],
			[
				'mesh-chain completion fish > ~/.config/fish/completions/mesh-chain.fish',
				'installs completion for fish',
			],
		],
		options: [],
		statuses: statusTexts({ ok: 'the script was printed', failed: 'stdout cannot be written' }),
		async run(invocation, terminal) {
			const shell = invocation.file
			if (!Object.hasOwn(SCRIPTS, shell)) {
				throw usage(`completion supports ${Object.keys(SCRIPTS).join(', ')}, not ${JSON.stringify(shell)}`)
			}
			const script = SCRIPTS[shell as keyof typeof SCRIPTS]
			await terminal.stdout.write(printableLines(script(commands())))
			return STATUS.ok
		},
	}
}
