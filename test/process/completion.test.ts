/** Runs the completion scripts in their shells. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { meshChain, run } from '../support/process.ts'
import { requirePackage } from '../support/system-packages.ts'
import { temporaryFolder } from '../support/temporary.ts'

beforeAll(() => {
	requirePackage('zsh')
	requirePackage('fish')
})

/** Creates a folder with the script for a shell, and one file to complete. */
async function folderWith(shell: string): Promise<string> {
	const folder = temporaryFolder()
	const { status, stdout } = await meshChain(['completion', shell])
	expect(status).toBe(0)
	writeFileSync(join(folder, 'script'), stdout)
	writeFileSync(join(folder, 'node.chain'), '')
	return folder
}

async function inBash(cwd: string, ...words: string[]): Promise<string[]> {
	const line = words.map((word) => `'${word}'`).join(' ')
	const asked = `COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}`
	const script = `. ./script; ${asked}; _mesh_chain; printf '%s\\n' "\${COMPREPLY[@]}"`
	const { stdout, stderr } = await run('bash', ['-c', script], { cwd })
	expect(stderr).toBe('')
	return stdout.split('\n').filter(Boolean)
}

async function inFish(cwd: string, line: string): Promise<string[]> {
	const { stdout, stderr } = await run(
		'fish',
		['--no-config', '-c', `source script; complete -C '${line}'`],
		{ cwd },
	)
	expect(stderr).toBe('')
	return stdout
		.split('\n')
		.filter(Boolean)
		.map((each) => each.split('\t')[0] ?? '')
}

/** Returns the completions of zsh, whose completion system runs in a terminal of its own. */
async function inZsh(cwd: string, line: string): Promise<string> {
	const setup = [
		'PS1=; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -d ./zcompdump; . ./script',
		'zstyle ":completion:*" list-prompt ""; setopt no_list_beep',
		'zle-line-init() { echo EDITOR-$((1+1)) }; zle -N zle-line-init',
	].join('; ')
	const script = `
		zmodload zsh/zpty
		zpty shell 'zsh -f -i'
		zpty -w shell '${setup}'
		zpty -r shell chunk '*EDITOR-2*'
		zpty -w -n shell $'${line}\\t\\t'
		zpty -w shell $'\\x15echo DONE-$((1+1))'
		zpty -r shell chunk '*DONE-2*'
		print -r -- "$chunk"
		zpty -d shell`
	const { stdout } = await run('zsh', ['-f', '-c', script], { cwd })
	return stdout
}

test('bash completes commands, options, choices and files', async () => {
	const cwd = await folderWith('bash')
	const names = COMMANDS.map(({ name }) => name)
	expect(await inBash(cwd, 'mesh-chain', '')).toEqual([...names, '--help', '--version'])
	expect(await inBash(cwd, 'mesh-chain', 'du')).toEqual(['dump'])
	expect(await inBash(cwd, 'mesh-chain', 'dump', '--s')).toEqual(['--since', '--session', '--strict'])
	expect(await inBash(cwd, 'mesh-chain', 'dump', '-o', '')).toEqual(['pretty', 'ndjson', 'msgpack'])
	expect(await inBash(cwd, 'mesh-chain', 'info', '--output', 'j')).toEqual(['json'])
	expect(await inBash(cwd, 'mesh-chain', 'dump', '--since', '')).toEqual([])
	expect(await inBash(cwd, 'mesh-chain', 'dump', 'no')).toEqual(['node.chain'])
	expect(await inBash(cwd, 'mesh-chain', 'completion', '')).toEqual(['bash', 'zsh', 'fish'])
	expect(await inBash(cwd, 'mesh-chain', 'sources', '')).toEqual(['status', 'report'])
	expect(await inBash(cwd, 'mesh-chain', 'sources', 'status', 'no')).toEqual(['node.chain'])
})

test('fish completes commands, options, choices and files', async () => {
	const cwd = await folderWith('fish')
	const names = COMMANDS.map(({ name }) => name)
	expect((await inFish(cwd, 'mesh-chain ')).sort()).toEqual([...names].sort())
	expect(await inFish(cwd, 'mesh-chain dump --si')).toEqual(['--since'])
	expect(await inFish(cwd, 'mesh-chain dump -o ')).toEqual(['msgpack', 'ndjson', 'pretty'])
	expect(await inFish(cwd, 'mesh-chain dump no')).toEqual(['node.chain'])
	expect(await inFish(cwd, 'mesh-chain completion z')).toEqual(['zsh'])
	expect(await inFish(cwd, 'mesh-chain sources st')).toEqual(['status'])
	expect(await inFish(cwd, 'mesh-chain sources status no')).toEqual(['node.chain'])
})

test('zsh completes commands, options and choices', async () => {
	const cwd = await folderWith('zsh')
	const commands = await inZsh(cwd, 'mesh-chain ')
	for (const { name, summary } of COMMANDS)
		expect(commands).toMatch(new RegExp(`${name} +-- ${summary.slice(0, 20)}`))
	expect(await inZsh(cwd, 'mesh-chain dump --sin')).toContain('--since')
	expect(await inZsh(cwd, 'mesh-chain dump -o n')).toContain('ndjson')
	expect(await inZsh(cwd, 'mesh-chain sources st')).toContain('status')
	expect(await inZsh(cwd, 'mesh-chain sources status no')).toContain('node.chain')
})

test('an unknown shell is refused, with a list of the known ones', async () => {
	const { status, stderr } = await meshChain(['completion', 'tcsh'])
	expect(status).toBe(2)
	expect(stderr).toContain('bash, zsh, fish')
	expect((await meshChain(['completion'])).stderr).toContain('one of bash, zsh, fish')
})
