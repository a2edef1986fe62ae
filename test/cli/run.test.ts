import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { HEADER_BYTES } from '../../src/chain/format/header.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { run } from '../../src/cli/run.ts'
import { gapRecord, type LogRecord } from '../../src/model/record.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

async function onTerminal(args: readonly string[], terminal: { isTerminal?: boolean } = {}) {
	const stdout = new PassThrough()
	const stderr = new PassThrough()
	const status = await run(args, {
		stdout,
		stderr,
		stdin: new PassThrough(),
		stdinIsTerminal: true,
		stderrIsTerminal: true,
		stdoutIsTerminal: terminal.isTerminal ?? true,
		env: { TERM: 'xterm' },
		now: () => 1_700_000_100_000,
		interrupted: () => AbortSignal.abort(),
		onSignals: () => () => {},
	})
	return { status, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
}

async function chainOf(...records: LogRecord[]): Promise<string> {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	for (const item of records) appender.append(item)
	await appender.close()
	return path
}

test('on a terminal dump is pretty and coloured, in a pipe it is ndjson', async () => {
	const path = await chainOf(record(1, { level: 'warn' }))
	expect((await onTerminal(['dump', path])).stdout).toContain('\u001b[33mWARN \u001b[39m message 1')
	expect((await onTerminal(['dump', path], { isTerminal: false })).stdout).toMatch(/^\{"seq":1,/)
})

test('MessagePack is never written to a terminal', async () => {
	const { status, stdout, stderr } = await onTerminal(['dump', await chainOf(record(1)), '-o', 'msgpack'])
	expect([status, stdout]).toEqual([2, ''])
	expect(stderr).toContain('> records.msgpack')
})

test.each([
	['evicted', 3],
	['appendFailed', 3],
	['overflow', 3],
	['retained', 0],
] as const)(
	'a gap with cause %s is highlighted, passes every filter, and gives status 0, or %i (--strict)',
	async (cause, status) => {
		const gap = gapRecord({ fromSeq: 2, toSeq: 4, count: 3, cause }, { epoch: 1, tsMs: 1_700_000_000_000 })
		const path = await chainOf(record(1), gap, record(5))
		const ended = await onTerminal(['dump', path, '-l', 'error', '-k', 'none', '--color', 'never'])
		expect(ended.stdout).toContain(`----- 3 records absent (seq 2 to 4): ${cause} -----`)
		expect(ended.stdout.trim().split('\n')).toHaveLength(1)
		expect(ended.status).toBe(0)
		const answer = status === 0 ? 'ok' : 'ok, 3 records lost'
		expect((await onTerminal(['verify', path, '--color', 'never'])).stdout).toContain(
			`node.chain: ${answer}: `,
		)
		for (const command of ['dump', 'info', 'verify', 'repair', 'tail']) {
			expect([command, (await onTerminal([command, path])).status]).toEqual([command, 0])
			expect([command, (await onTerminal([command, path, '--strict'])).status]).toEqual([command, status])
		}
	},
)

test('info --head prints only heads that verify accepts', async () => {
	const path = await chainOf(record(1))
	const head = (await onTerminal(['info', path, '--head'])).stdout.trim()
	expect((await onTerminal(['verify', path, '--head', head])).status).toBe(0)
	writeFileSync(path, readFileSync(path).subarray(0, HEADER_BYTES))
	const { status, stdout, stderr } = await onTerminal(['info', path, '--head'])
	expect([status, stdout]).toEqual([2, ''])
	expect(stderr).toContain('there is no head: a stream has none')
})

test('$unserializable markers are shown, and do not count as a loss', async () => {
	const path = await chainOf(record(1, { data: { f: { $unserializable: 'function' } } }))
	const { status, stdout } = await onTerminal(['dump', path, '--color', 'never'])
	expect(status).toBe(0)
	expect(stdout).toContain('{f: {$unserializable: "function"}}')
})

test('long data is shown below its message, one field per line, then the causes of an error', async () => {
	const cause = {
		name: 'Error',
		message: 'socket closed',
		stack: 'Error: socket closed\n    at g (b.js:2:1)',
	}
	const error = {
		name: 'TypeError',
		message: 'bad',
		stack: 'TypeError: bad\n    at f (a.js:1:1)',
		code: 'E_BAD',
		cause,
	}
	const path = await chainOf(
		record(1, { data: { text: 'x'.repeat(120), error, when: new Date(0), big: 5n } }),
	)
	const { stdout } = await onTerminal(['dump', path, '--color', 'never'])
	expect(stdout.split('\n').slice(1)).toEqual([
		`    text: "${'x'.repeat(120)}"`,
		'    when: 1970-01-01T00:00:00.000Z',
		'    big: 5n',
		'    TypeError: bad',
		'      at f (a.js:1:1)',
		'      code: "E_BAD"',
		'    caused by Error: socket closed',
		'      at g (b.js:2:1)',
		'',
	])
})

test('only line breaks of the program reach the terminal, whatever a record contains', async () => {
	const evil = '\u001b]0;owned\u0007\r\n\u009b2J\u202e\u2028'
	const path = await chainOf(
		record(1, {
			kind: evil,
			message: evil,
			daemonId: evil,
			nodeId: evil,
			data: { [evil]: evil, error: { name: evil, message: evil, stack: evil } },
			origin: { chainId: evil, epoch: 1, seq: 1 },
		}),
	)
	for (const output of ['pretty', 'ndjson']) {
		const { stdout } = await onTerminal(['dump', path, '-o', output, '--color', 'never'])
		// biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
		expect(stdout.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/)
	}
})

test.each([
	['an empty file', Buffer.alloc(0), 'CHAIN_EMPTY'],
	['the beginning of a header', Buffer.from([0x99, 0xaa, 0x6d, 0x65]), 'CHAIN_EMPTY'],
	[
		'a chain of a newer format',
		Buffer.concat([Buffer.from('\x95\xaamesh-chain\x07', 'latin1'), Buffer.alloc(60)]),
		'NEWER_VERSION',
	],
	[
		'a header that was damaged',
		Buffer.concat([Buffer.from('\x99\xaamesh-chain\x01', 'latin1'), Buffer.alloc(90)]),
		'HEADER_DAMAGED',
	],
	['another file', Buffer.from('#!/bin/sh\necho this is a script, and no chain at all\n'), 'NOT_A_CHAIN'],
])('%s has its own message and status 2 in every command', async (_name, bytes, code) => {
	const path = join(temporaryFolder(), 'file')
	writeFileSync(path, bytes)
	for (const command of ['dump', 'info', 'verify']) {
		const { status, stdout, stderr } = await onTerminal([command, path])
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(`mesh-chain: ${code}: `)
	}
})
