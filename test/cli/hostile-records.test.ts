/**
 * Runs every command on records in which every field is hostile: the output is text, and has only lines of
 * existing records.
 */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { Command } from '../../src/cli/command.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { run } from '../../src/cli/run.ts'
import { recordToJson } from '../../src/codec/json-dialect.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { record } from '../support/records.ts'

const FAKE = '2026-01-01T00:00:00.000Z ERROR FAKE'
const RAW =
	'\u001b]0;PWNED\u0007\r\b\u007f\u009b2J\u061c\u200b\u200e\u202e\u2066\u2028\u2029\ufeff\ufff9\u{e0041}' +
	'\u3164\t'
const EVIL = `${RAW}\n${FAKE}\r\n${FAKE}\u2028${FAKE}`
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]/u
// biome-ignore lint/suspicious/noControlCharactersInRegex: our colours, and the line that is written over
const OURS = /\u001b\[\d+m|\r\u001b\[K/g

/** Values that a field can have instead of the one that its kind promises. */
const VALUES: readonly unknown[] = [
	EVIL,
	'toString',
	'',
	-1,
	2 ** 53,
	Number.NaN,
	1e308,
	-0,
	2n ** 63n,
	true,
	null,
	new Date(0),
	Buffer.from(EVIL),
	[],
	[EVIL, [null]],
	{},
	{ [EVIL]: EVIL, toString: EVIL, toJSON: EVIL, constructor: 1, message: EVIL, stack: EVIL },
]

const LINE = { tsMs: 1, level: 'info', kind: 'k', message: 'held', daemonId: null, nodeId: null, data: 1 }
const STATEMENT = {
	session: 's',
	tx: 't',
	seq: 1,
	text: 'INSERT INTO t VALUES ($1)',
	params: ['1'],
	commands: ['INSERT'],
	rows: 1,
	checksum: null,
	startedMs: 1,
	durationMs: 1,
	end: 'commit',
	error: { code: 'X', message: 'm' },
	unreplayable: 'cut',
}
const SOURCE = {
	mode: { type: 'monitor' },
	aliases: ['a'],
	policy: 'p',
	state: 'active',
	fields: ['f'],
	details: null,
	connection: 'connected',
	connectedSinceMs: 1,
	lostMs: 1,
	counts: { received: 1, stored: 1, latestType: 'number', lastError: 'e', dropped: { overflow: 1 } },
	rate: 1,
	sinceMs: 1,
	oldestSeq: 1,
}

/** Fields of the data of each kind. */
const DATA: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
	log: { name: 'Error', message: 'm', stack: 'Error: m\n    at f', cause: { message: 'c', stack: 's' } },
	$session: { recorder: 'r', session: 's', action: 'start', firstIndex: 0, nextIndex: 1 },
	$checkpoint: { recorder: 'r', session: 's', id: 'cp', label: 'l', eventIndex: 0, state: {} },
	$gap: { fromSeq: 1, toSeq: 2, count: 2, cause: 'evicted' },
	$crash: { name: 'Error', message: 'm', stack: 'Error: m', origin: 'uncaughtException' },
	$blackbox: { reason: 'r', bySeq: 1, dropped: 1, lines: [LINE] },
	sql: STATEMENT,
	source: SOURCE,
	forgotten: { oldestSeq: 1 },
	[EVIL]: { a: 1 },
}

/**
 * Yields data with each field of each kind replaced by each value, including the fields of black box lines.
 */
function* hostileData(): Generator<{ readonly kind: string; readonly data: unknown }> {
	for (const [kind, whole] of Object.entries(DATA)) {
		yield { kind, data: whole }
		for (const value of VALUES) {
			yield { kind, data: value }
			for (const name of Object.keys(whole)) yield { kind, data: { ...whole, [name]: value } }
		}
	}
	for (const value of VALUES)
		for (const name of Object.keys(LINE))
			yield { kind: '$blackbox', data: { ...DATA['$blackbox'], lines: [{ ...LINE, [name]: value }] } }
	const inner = { ...LINE, kind: '$blackbox', data: { lines: [{ ...LINE, message: EVIL, data: EVIL }] } }
	yield {
		kind: '$blackbox',
		data: { dropped: EVIL, lines: [inner, { ...LINE, kind: '$gap', message: EVIL }] },
	}
}

function hostileRecords(withOrigin: boolean): LogRecord[] {
	const origin = { chainId: EVIL, epoch: 1, seq: 1 }
	return [...hostileData()]
		.filter(({ kind }) => withOrigin || kind !== '$gap')
		.map(({ kind, data }, index) =>
			record(index + 1, {
				kind,
				message: EVIL,
				data,
				daemonId: index % 2 === 0 ? `s${index}${EVIL}` : EVIL,
				nodeId: EVIL,
				level: 'error',
				...(withOrigin ? { origin } : {}),
			}),
		)
}

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'mesh-chain-')))
const NAME = `${RAW}\n${FAKE}`.replaceAll('/', '')
const own = join(folder, `own${NAME}.chain`)
const foreign = join(folder, 'foreign.chain')
const lines = join(folder, 'lines.jsonl')
const damaged = join(folder, `-damaged'${NAME}.chain`)
const fold = join(folder, 'fold.mjs')

beforeAll(async () => {
	for (const path of [own, foreign, damaged]) {
		const appender = new FileChainAppender(path)
		for (const each of hostileRecords(path === foreign)) appender.append(each)
		await appender.close()
	}
	writeFileSync(damaged, 'x', { flag: 'r+' })
	writeFileSync(
		lines,
		hostileRecords(true)
			.map((each) => `${recordToJson(each)}\n`)
			.join(''),
	)
	writeFileSync(
		fold,
		`export const initial = []
		export default (state, { data, message }) => {
			if (state.length > 300) throw new Error(message)
			return [...state, data]
		}`,
	)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Arguments to try in addition to `NAME FILE`, which is tried for each command. */
const VARIANTS: Readonly<Record<string, (file: string) => readonly (readonly string[])[]>> = {
	dump: (file) => [
		[file, '-o', 'ndjson'],
		[file, '-g', '(a+)+$|FAKE'],
		[file, '--session', EVIL],
		[file, '--between', EVIL, 'cp'],
	],
	tail: (file) => [[file, '-n', '500']],
	record: (file) => [[`${file}.new`, '-q']],
	replay: (file) => [[file, '--to', EVIL], [lines], [file, '--to', `exec:cat >/dev/null; exit 3 #${RAW}`]],
	'replay-sql': (file) => [
		[file, '--dry-run'],
		[file, '--target', EVIL],
	],
	export: (file) => [
		[file, '--format', 'otel'],
		[file, '--format', 'pino'],
		[file, '--format', 'events'],
		[file, '--to', `${file}.${Math.random()}`],
	],
	import: () => [[lines, '--to', `${own}.${Math.random()}`]],
	merge: (file) => [
		[file, foreign],
		[file, foreign, '--to', `${own}.${Math.random()}`],
	],
	forward: (file) => [[file, '--to', `nats://${EVIL}/${EVIL}`]],
	pull: () => [[`nats://${EVIL}/${EVIL}`, '--to', EVIL]],
	state: (file) => [
		[file, '--fold', fold],
		[file, '--fold', fold, '--at', '1', '--diff', '200', '--gaps', 'skip'],
		[file, '--fold', EVIL],
		[file, '--fold', fold, '--at', `@${EVIL}`],
	],
	sources: (file) => [
		['status', file],
		['status', file, EVIL],
		['report', file],
	],
}

async function printedBy(args: readonly string[], isTerminal: boolean) {
	const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
	const texts = [stdout, stderr].map((stream) => {
		const pieces: Buffer[] = []
		stream.on('data', (piece: Buffer) => pieces.push(piece))
		return () => Buffer.concat(pieces).toString()
	})
	stdin.end(`${EVIL}\n`)
	let now = 1_700_000_100_000
	const status = await run(args, {
		stdin,
		stdout,
		stderr,
		stdinIsTerminal: false,
		stdoutIsTerminal: isTerminal,
		stderrIsTerminal: true,
		env: { TERM: 'xterm' },
		// Each call advances the clock enough for a progress line.
		now: () => (now += 1000),
		interrupted: () => new AbortController().signal,
		onSignals: () => () => {},
	})
	return { status, stdout: texts[0]!(), stderr: texts[1]!() }
}

/** Returns the command line with each format and colour that the command has. */
function waysToPrint(command: Command, args: readonly string[]): (readonly string[])[] {
	const named = [command.name, ...args]
	const output = command.options.find(({ long }) => long === 'output')
	const isReport = output?.choices?.includes('json') === true && !args.includes('-o')
	return [
		named,
		...(command.options.some(({ long }) => long === 'color') ? [[...named, '--color', 'always']] : []),
		...(isReport ? [[...named, '-o', 'json']] : []),
		[...named, `--${EVIL}`],
	]
}

test.each(COMMANDS.map((command) => [command.name, command] as const))(
	'%s prints hostile records as text, and only lines of its own',
	async (name, command) => {
		for (const file of [own, foreign, damaged, join(folder, NAME)]) {
			const isWhole = file === own || file === foreign
			const variants = [[file], ...(isWhole ? [[EVIL, EVIL], ...(VARIANTS[name]?.(file) ?? [])] : [])]
			for (const args of variants.flatMap((each) => waysToPrint(command, each))) {
				for (const isTerminal of isWhole ? [true, false] : [true]) {
					const { status, stdout, stderr } = await printedBy(args, isTerminal)
					const what = `${JSON.stringify(args)}: ${JSON.stringify(stderr)}`
					expect([0, 1, 2, 3, 4], what).toContain(status)
					// Every expected error has a code.
					if (status === 2)
						expect(stderr, what).toMatch(/mesh-chain: (?:[A-Z_]+: |[\d,]+ records? |interrupted)/)
					// A whole chain is read to its end, whatever its records contain.
					if (file === foreign && args.length === 2 && ['dump', 'tail', 'replay', 'export'].includes(name))
						expect(status, what).not.toBe(2)
					// Messages about a whole chain contain only numbers.
					if (file === foreign && args.length === 2) expect(stderr, what).not.toContain('PWNED')
					// The stdout of `record` is the program's own output, unescaped.
					const texts = name === 'record' ? [stderr] : [stdout, stderr]
					for (const text of texts) {
						const bare = text.replaceAll(OURS, '')
						const left = bare.replaceAll(name === 'completion' || stdout === '' ? /[\n\t]/g : '\n', '')
						expect(UNSAFE.exec(left)?.[0].codePointAt(0)?.toString(16), what).toBeUndefined()
						expect(
							bare.split('\n').filter((line) => line.startsWith(FAKE)),
							what,
						).toEqual([])
					}
					if (args.includes('json') || (!isTerminal && /^[[{]/.test(stdout)))
						for (const line of stdout.split('\n').filter(Boolean))
							expect(() => JSON.parse(line)).not.toThrow()
				}
			}
		}
	},
)
