/** Checks the rules of the table of commands: the meaning of letters, and the content of the help. */
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { STATUS, STATUS_TABLE } from '../../src/cli/exit-status.ts'
import { allOptions, descriptionOf, helpOf, overview } from '../../src/cli/help.ts'

const OPTIONS = COMMANDS.flatMap((command) =>
	allOptions(command).map((option) => [`${command.name} --${option.long}`, option] as const),
)

test('a letter means the same in every command', () => {
	const meanings = new Map<string, Set<string>>()
	for (const [, { short, long, value }] of OPTIONS) {
		if (short === undefined) continue
		const known = meanings.get(short) ?? new Set()
		meanings.set(short, known.add(`--${long}${value === undefined ? '' : ` ${value}`}`))
	}
	expect(Object.fromEntries([...meanings].map(([short, known]) => [short, [...known]]))).toEqual({
		S: ['--since TIME'],
		U: ['--until TIME'],
		f: ['--follow'],
		g: ['--grep PATTERN'],
		h: ['--help'],
		k: ['--kind KIND'],
		l: ['--level LEVEL'],
		n: ['--limit COUNT'],
		o: ['--output FORMAT'],
		q: ['--quiet'],
		r: ['--reverse'],
		w: ['--where CONDITION'],
	})
})

test('--to names any output: a path, a folder, a target or a stream', () => {
	const writing = OPTIONS.filter(([, { value = '' }]) => /^(?:PATH|FOLDER|CHAIN|TARGET|ADDRESS)$/.test(value))
	expect(writing.map(([name]) => name)).toEqual([
		'replay --to',
		'export --to',
		'import --to',
		'merge --to',
		'forward --to',
		'pull --to',
	])
})

test.each(OPTIONS)('the default of %s is one of its choices', (_name, option) => {
	if (option.default !== undefined && option.choices !== undefined)
		expect(option.choices).toContain(option.default)
	expect(option.default === undefined || option.defaultText === undefined).toBe(true)
	expect(descriptionOf(option)).not.toMatch(/\bunless told\b|\bbehind\b|\bso many\b|\bgoes on\b/)
})

describe.each(COMMANDS.map((command) => [command.name, command] as const))(
	'the help of %s',
	(name, command) => {
		test('lists options with choices and defaults, and variables, in lines of at most 100 columns', () => {
			const help = helpOf(command)
			for (const option of allOptions(command)) {
				expect(help).toContain(`--${option.long}`)
				const words = descriptionOf(option).split(' ')
				expect(help.replaceAll(/\s+/g, ' ')).toContain(words.join(' '))
			}
			for (const [names] of command.environment ?? []) expect(help).toContain(names)
			const examples = command.examples.map(([line]) => `  ${line}`)
			for (const line of help.split('\n'))
				if (!examples.includes(line)) expect(line.length).toBeLessThanOrEqual(100)
		})

		test('shows only exit statuses of the command, in the order of the table', () => {
			const statuses = command.statuses.map(([status]) => status)
			const known = STATUS_TABLE.map(([status]) => status)
			expect(statuses).toEqual(known.filter((status) => statuses.includes(status)))
			expect(statuses).toEqual(expect.arrayContaining([STATUS.ok, STATUS.failed]))
			const [, section = ''] = helpOf(command).split('\nExit status\n')
			const shown = [...section.matchAll(/^ {2}(\d\S*) /gm)].map(([, status]) => status)
			expect(shown).toEqual(statuses.map(String))
			expect(statuses.includes(STATUS.nothingMatched)).toBe(['dump', 'tail', 'replay-sql'].includes(name))
			expect(statuses.includes(STATUS.unchecked)).toBe(['verify', 'repair'].includes(name))
		})
	},
)

test('the overview lists every command, --version, and every status', () => {
	const text = overview(COMMANDS)
	for (const { name, summary } of COMMANDS) expect(text).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'))
	expect(text).toContain('mesh-chain --version')
	for (const [status, meaning] of STATUS_TABLE)
		expect(text).toContain(`${String(status).padEnd(7)}${meaning}`)
})
