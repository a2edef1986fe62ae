/** Runs `mesh-chain replay`, `export` and `import` as processes: their output, exit status, and files. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { recordToJson } from '../../src/codec/json-dialect.ts'
import { gapRecord, type LogRecord } from '../../src/model/record.ts'
import { meshChain, ROOT, run, says, start } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const CLI = join(ROOT, 'dist', 'cli', 'main.js')

async function chainOf(records: readonly LogRecord[], folder = temporaryFolder()): Promise<string> {
	const path = join(folder, 'node.chain')
	const appender = new FileChainAppender(path)
	for (const each of records) appender.append(each)
	await appender.close()
	return path
}

const some = (count: number, stepMs = 1) =>
	Array.from({ length: count }, (_unused, index) =>
		record(index + 1, { tsMs: 1_700_000_000_000 + index * stepMs, nodeId: index % 2 === 0 ? 'a' : 7n }),
	)
const seqsIn = (stdout: string) =>
	stdout
		.split('\n')
		.filter(Boolean)
		.map((line) => JSON.parse(line).seq)

async function read(path: string): Promise<LogRecord[]> {
	const chain = await openChain(path)
	const records = await collect(chain.records())
	await chain.close()
	return records
}

/** Runs a command with this text on its standard input. */
async function piped(args: readonly string[], input: string) {
	const child = spawn(process.execPath, [CLI, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
	let stderr = ''
	child.stderr.on('data', (piece: Buffer) => {
		stderr += piece.toString()
	})
	child.stdin.end(input)
	const [status] = await once(child, 'close')
	return { status, stderr }
}

describe('replay', () => {
	test('accepts the filters of all commands, including ids by their text', async () => {
		const path = await chainOf(some(20))
		const { stdout, stderr, status } = await meshChain([
			'replay',
			path,
			'--node',
			'7',
			'--from-seq',
			'5',
			'-n',
			'3',
		])
		expect(seqsIn(stdout)).toEqual([6, 8, 10])
		expect(stderr).toMatch(/^mesh-chain: 3 records replayed in [\d.]+ s\n$/)
		expect(status).toBe(0)
	})

	test('into a chain and into JSON Lines, each record with its origin', async () => {
		const path = await chainOf(some(10))
		const folder = temporaryFolder()
		for (const name of ['copy.chain', 'copy.jsonl']) {
			const to = join(folder, name)
			expect(await meshChain(['replay', path, '--to', to, '--from-seq', '4'])).toMatchObject({
				status: 0,
				stdout: '',
			})
			const again = await meshChain(['replay', path, '--to', to, '--from-seq', '4'])
			expect(again.status).toBe(0)
			const { stdout } = await meshChain(['replay', to])
			const records = stdout
				.split('\n')
				.filter(Boolean)
				.map((line) => JSON.parse(line))
			expect(records.map(({ seq }) => seq)).toEqual(Array.from({ length: 14 }, (_unused, index) => index + 1))
			expect(records.map(({ origin }) => origin.seq)).toEqual([4, 5, 6, 7, 8, 9, 10, 4, 5, 6, 7, 8, 9, 10])
		}
	})

	test('into a program, whose failure is reported', async () => {
		const path = await chainOf(some(10))
		const counted = await meshChain(['replay', path, '--to', 'exec:wc -l'])
		expect([counted.status, counted.stdout.trim()]).toEqual([0, '10'])
		const failed = await meshChain(['replay', path, '--to', 'exec:cat > /dev/null; exit 4'])
		expect(failed.status).toBe(2)
		expect(failed.stderr).toContain('TARGET_FAILED: "cat > /dev/null; exit 4" exited with status 4')
	})

	test('into a program that exits reports the seq to resume from', async () => {
		const path = await chainOf(some(50_000))
		const { status, stderr } = await meshChain(['replay', path, '--to', 'exec:head -c 100000 > /dev/null'])
		expect(status).toBe(2)
		expect(stderr).toMatch(/the target is gone: resume with --from-seq \d+\n/)
	})

	test.each(['lines.jsonl', 'copy.chain'])(
		'a full disk under %s ends it with the seq to resume from, and no record arrives twice',
		async (name) => {
			const path = await chainOf(some(5000))
			const to = join(temporaryFolder(), name)
			const full = ['-c', 'ulimit -f 100; exec "$@"', 'sh', process.execPath, CLI, 'replay', path, '--to', to]
			const { status, stderr } = await run('bash', full)
			expect(status).toBe(2)
			const counted = String.raw` ([\d,]+) records replayed in \S+ s, [\d,]+ failed`
			const advice = String.raw`the target is gone: resume with --from-seq (\d+)`
			const told = new RegExp(`${counted}\n.+EFBIG.+\n {2}${advice}\n$`)
			const [, replayed = '', next = ''] = told.exec(stderr) ?? []
			expect(Number(replayed.replace(',', ''))).toBe(Number(next) - 1)
			expect((await meshChain(['replay', path, '--to', to, '--from-seq', next])).status).toBe(0)
			expect(existsSync(`${to}.lock`)).toBe(false)
			const { stdout } = await meshChain(name.endsWith('.chain') ? ['dump', to] : ['replay', to])
			expect(
				stdout
					.split('\n')
					.filter(Boolean)
					.map((line) => JSON.parse(line).message),
			).toEqual(Array.from({ length: 5000 }, (_unused, index) => `message ${index + 1}`))
		},
	)

	test('a dry run counts records, and creates no file', async () => {
		const path = await chainOf(some(10))
		const to = join(temporaryFolder(), 'copy.chain')
		const { status, stdout, stderr } = await meshChain(['replay', path, '--to', to, '--dry-run'])
		expect([status, stdout, existsSync(to)]).toEqual([0, '', false])
		expect(stderr).toContain('10 records replayed')
	})

	test('Ctrl-C ends it with a summary and the seq to resume from, which replays the rest', async () => {
		const path = await chainOf(some(1000, 10))
		const child = start(process.execPath, [CLI, 'replay', path, '--speed', '1'])
		let stdout = ''
		let stderr = ''
		child.stdout!.on('data', (piece: Buffer) => {
			stdout += piece.toString()
		})
		child.stderr!.on('data', (piece: Buffer) => {
			stderr += piece.toString()
		})
		await says(child, '\n', 5)
		child.kill('SIGINT')
		const [status] = await once(child, 'close')
		expect(status).toBe(130)
		const [, next] = /interrupted: resume with --from-seq (\d+)\n/.exec(stderr) ?? []
		const rest = await meshChain(['replay', path, '--from-seq', next ?? ''])
		expect([...seqsIn(stdout), ...seqsIn(rest.stdout)]).toEqual(
			Array.from({ length: 1000 }, (_unused, index) => index + 1),
		)
	})

	test('Ctrl-C also reaches a target program, and the summary is still printed', async () => {
		const path = await chainOf(some(2000, 5))
		const folder = temporaryFolder()
		const read = join(folder, 'read.jsonl')
		const args = [CLI, 'replay', path, '--speed', '1', '--to', `exec:cat > '${read}'`]
		const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
		let stderr = ''
		child.stderr.on('data', (piece: Buffer) => {
			stderr += piece.toString()
		})
		while (!existsSync(read) || readFileSync(read, 'utf8').split('\n').length < 5) {
			await new Promise((resolve) => setTimeout(resolve, 5))
		}
		process.kill(-child.pid!, 'SIGINT')
		const [status] = await once(child, 'close')
		expect(status).toBe(130)
		expect(stderr).toMatch(/records replayed in/)
		expect(stderr).toMatch(/resume with --from-seq \d+\n/)
	})

	test('follows a chain while it is written, with Ctrl-C as the normal end', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const appender = new FileChainAppender(path)
		appender.append(record(1))
		appender.flush()
		const child = start(process.execPath, [CLI, 'replay', path, '--follow'])
		await says(child, '"message 1"')
		appender.append(record(2))
		appender.flush()
		await says(child, '"message 2"')
		child.kill('SIGINT')
		expect(await once(child, 'close')).toEqual([0, null])
		await appender.close()
	})

	test('of a missing file ends, even with a program as its target', async () => {
		const args = ['replay', '/nowhere/x.jsonl', '--format', 'pino', '--to', 'exec:cat']
		const { status, stderr } = await meshChain(args)
		expect(status).toBe(2)
		expect(stderr).toContain('the file does not exist')
	})

	test('ends quietly when its reader is gone', async () => {
		const path = await chainOf(some(50_000))
		const { status, stdout, stderr } = await piecesOf(
			`"${process.execPath}" "${CLI}" replay "${path}" | head -n 1`,
		)
		expect([status, stdout.split('\n').length, stderr]).toEqual([0, 2, ''])
	})

	test('into an output that cannot be written reports the reason and the seq to resume from', async () => {
		const path = await chainOf(some(5))
		const { status, stderr } = await piecesOf(`"${process.execPath}" "${CLI}" replay "${path}" > /dev/full`)
		expect(status).toBe(2)
		const reason = 'first error at seq 1: stdout accepts no more records: ENOSPC: '
		const advice = 'the target is gone: resume with --from-seq 1'
		expect(stderr).toMatch(new RegExp(`${reason}.+\n {2}${advice}\n$`))
	})

	test('a damaged recording is replayed around its gaps, which are counted, with status 3', async () => {
		const path = await chainOf(some(20_000))
		const bytes = readFileSync(path)
		bytes.fill(0, 100_000, 100_300)
		writeFileSync(path, bytes)
		const { status, stderr } = await meshChain(['replay', path, '--to', 'exec:cat > /dev/null'])
		expect(status).toBe(3)
		expect(stderr).toMatch(/\d+ absent in 1 gap\b/)
	})

	test('cannot follow JSON Lines, and the message names an alternative', async () => {
		const path = join(temporaryFolder(), 'some.jsonl')
		writeFileSync(path, `${recordToJson(record(1))}\n`)
		const { status, stderr } = await meshChain(['replay', path, '-f'])
		expect(status).toBe(2)
		expect(stderr).toContain(
			`--follow requires a chain, and ${path} is not one: ` +
				`to follow JSON Lines, run tail -f ${path} | mesh-chain replay -`,
		)
	})

	test('reports how many records a failed program had received', async () => {
		const path = await chainOf(some(20))
		const { status, stderr } = await meshChain(['replay', path, '--to', 'exec:cat > /dev/null; exit 3'])
		expect(status).toBe(2)
		expect(stderr).toMatch(/TARGET_FAILED: .+ exited with status 3; 20 records had been sent\n/)
	})

	test('of JSON Lines counts the lines that are not records', async () => {
		const path = join(temporaryFolder(), 'some.jsonl')
		writeFileSync(path, `# by hand\n${recordToJson(record(1))}\nnoise\n${recordToJson(record(2))}`)
		const { status, stdout, stderr } = await meshChain(['replay', path])
		expect([status, seqsIn(stdout)]).toEqual([0, [1, 2]])
		expect(stderr).toContain('2 records replayed')
		expect(stderr).toContain('1 skipped (comment), 1 skipped (notJson)')
	})

	test.each([
		[['--speed', '0'], '--speed must be max or a number greater than 0'],
		[['--speed', 'fast'], '--speed must be max or a number greater than 0'],
		[['--to', 'x.txt'], '--to must be exec:COMMAND, FILE.chain, FILE.jsonl or -'],
		[['--to', 'exec: '], '--to exec: requires a command'],
		[['--from-seq', '9', '--to-seq', '3'], 'no seq can match'],
		[['--follow', '--format', 'pino'], '--follow requires a chain'],
		[['--format', 'xml'], '--format must be one of mesh-chain, events, pino, otel'],
	])('%j is refused before anything is done', async (args, message) => {
		const { status, stdout, stderr } = await meshChain(['replay', await chainOf(some(3)), ...args])
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(message)
	})

	test('into the file that is replayed is refused', async () => {
		const path = await chainOf(some(3))
		const before = readFileSync(path)
		const { status, stderr } = await meshChain(['replay', path, '--to', path])
		expect(status).toBe(2)
		expect(stderr).toContain('name a different file')
		expect(readFileSync(path)).toEqual(before)
	})
})

describe('export and import', () => {
	test('an export that is imported again is the same chain, by files and by pipes', async () => {
		const gap = gapRecord({ fromSeq: 4, toSeq: 5, count: 2, cause: 'evicted' }, { epoch: 1, tsMs: 5 })
		const path = await chainOf([...some(3), gap, record(6, { data: { big: 2n ** 63n, at: new Date(5) } })])
		const folder = temporaryFolder()
		const [lines, copy] = [join(folder, 'node.jsonl'), join(folder, 'copy.chain')]
		const exported = await meshChain(['export', path, '--to', lines])
		expect(exported.status).toBe(0)
		expect(exported.stderr).toContain('5 lines written to')
		expect((await meshChain(['export', path, '--strict'])).status).toBe(3)
		const imported = await meshChain(['import', lines, '--to', copy])
		expect([imported.status, imported.stderr]).toEqual([
			0,
			`mesh-chain: 4 records written to ${copy}, 2 absent\n`,
		])
		expect((await meshChain(['export', copy])).stdout).toBe(readFileSync(lines, 'utf8'))
		expect(await read(copy)).toEqual(await read(path))
		const other = join(folder, 'other.chain')
		expect(await piped(['import', '-', '--to', other], readFileSync(lines, 'utf8'))).toMatchObject({
			status: 0,
		})
		expect(await read(other)).toEqual(await read(path))
	})

	test('import appends to an existing chain, with the origin of --source', async () => {
		const path = await chainOf(some(2))
		const lines = join(temporaryFolder(), 'more.jsonl')
		writeFileSync(lines, `${recordToJson(record(9))}\n`)
		const { status, stderr } = await meshChain(['import', lines, '--to', path, '--source', 'elsewhere'])
		expect([status, stderr]).toEqual([0, `mesh-chain: 1 record appended to ${path}\n`])
		expect((await read(path)).at(-1)).toMatchObject({
			seq: 3,
			origin: { chainId: 'elsewhere', epoch: 1, seq: 9 },
		})
	})

	test.each([
		['mesh-chain', recordToJson(record(1, { kind: 'a', tsMs: 5 }))],
		['events', '{"ts":0.005,"ev":"a"}'],
		['pino', '{"level":30,"time":1700000000005,"kind":"a","msg":"a"}'],
		[
			'otel',
			'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5000000","eventName":"a"}]}]}]}',
		],
	])('a file in the format %s is detected by its first lines, or named by --format', async (format, line) => {
		const folder = temporaryFolder()
		const lines = join(folder, 'some.jsonl')
		writeFileSync(lines, `\n# a comment\n${line}\n`)
		for (const args of [[], ['--format', format]]) {
			const path = join(folder, `${args.length}.chain`)
			expect(await meshChain(['import', lines, '--to', path, ...args])).toMatchObject({ status: 0 })
			expect(await read(path)).toMatchObject([{ seq: 1, kind: 'a' }])
		}
		const { stdout, status } = await meshChain(['export', join(folder, '0.chain'), '--format', format])
		expect(status).toBe(0)
		expect(Object.keys(JSON.parse(stdout))).toEqual(
			expect.arrayContaining(Object.keys(JSON.parse(line)).slice(0, 1)),
		)
	})

	test('export never replaces a file, and import names a missing option', async () => {
		const path = await chainOf(some(2))
		const before = readFileSync(path)
		const exists = await meshChain(['export', path, '--to', path])
		expect(exists.status).toBe(2)
		expect(exists.stderr).toContain('FILE_EXISTS')
		expect(readFileSync(path)).toEqual(before)
		expect((await meshChain(['import', path])).stderr).toContain('--to is missing: name the chain')
		expect(
			(await meshChain(['import', '/nowhere/x.jsonl', '--to', join(temporaryFolder(), 'x.chain')])).stderr,
		).toContain('FILE_UNREADABLE: cannot read "/nowhere/x.jsonl": the file does not exist')
	})

	test('export to a file accepts a limit, and ids by their text', async () => {
		const path = await chainOf(some(20))
		const to = join(temporaryFolder(), 'two.jsonl')
		expect(seqsIn((await meshChain(['export', path, '--node', '7', '-n', '2'])).stdout)).toEqual([2, 4])
		expect((await meshChain(['export', path, '-n', '2', '--to', to])).status).toBe(0)
		expect(seqsIn(readFileSync(to, 'utf8'))).toEqual([1, 2])
	})

	test('an interrupted export leaves no file', async () => {
		const path = await chainOf(some(300_000))
		const folder = temporaryFolder()
		const child = start(process.execPath, [CLI, 'export', path, '--to', join(folder, 'node.jsonl')])
		let stderr = ''
		child.stderr!.on('data', (piece: Buffer) => {
			stderr += piece.toString()
		})
		while (readdirSync(folder).length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
		child.kill('SIGINT')
		const [status] = await once(child, 'close')
		expect([status, readdirSync(folder)]).toEqual([130, []])
		expect(stderr).toContain('EXPORT_FAILED: the export was interrupted')
	})

	test('import of other data creates no chain; lines out of order cause status 3', async () => {
		const folder = temporaryFolder()
		const path = join(folder, 'node.chain')
		for (const content of ['{"half":\n# and a comment\n', Buffer.from([0x1f, 0x8b, 8, 0, 0x0a, 0xff])]) {
			const file = join(folder, 'some.jsonl')
			writeFileSync(file, content)
			const { status, stderr } = await meshChain(['import', file, '--to', path])
			expect(status).toBe(2)
			expect(stderr).toContain('IMPORT_FAILED: no line is a record')
			expect(existsSync(path)).toBe(false)
		}
		const twice = join(folder, 'twice.jsonl')
		writeFileSync(twice, `${recordToJson(record(1))}\n`.repeat(2))
		const { status, stderr } = await meshChain(['import', twice, '--to', path])
		expect([status, stderr]).toEqual([3, `mesh-chain: 1 record written to ${path}, 1 out of order\n`])
	})

	test('import of two exports in one file creates no chain, and gives advice', async () => {
		const folder = temporaryFolder()
		const path = join(folder, 'node.chain')
		const both = join(folder, 'both.jsonl')
		const [a, b] = ['a', 'b'].map((message) => `${recordToJson(record(1, { message }))}\n`)
		writeFileSync(both, `${a}${b}`)
		const { status, stderr } = await meshChain(['import', both, '--to', path])
		expect([status, existsSync(path)]).toEqual([2, false])
		expect(stderr).toContain('two histories')
	})

	test('an import that is interrupted while it waits for input leaves no chain', async () => {
		const folder = temporaryFolder()
		const path = join(folder, 'node.chain')
		const child = spawn(process.execPath, [CLI, 'import', '-', '--to', path], {
			stdio: ['pipe', 'pipe', 'pipe'],
		})
		let stderr = ''
		child.stderr.on('data', (piece: Buffer) => {
			stderr += piece.toString()
		})
		const line = `${recordToJson(record(1, { data: 'x'.repeat(1000) }))}\n`
		while (readdirSync(folder).length === 0) await new Promise((resolve) => child.stdin.write(line, resolve))
		child.kill('SIGINT')
		const [status] = await once(child, 'close')
		expect(status).toBe(130)
		expect(stderr).toContain('IMPORT_FAILED')
		expect(readdirSync(folder)).toEqual([])
	})
})

async function piecesOf(command: string) {
	const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] })
	let stdout = ''
	let stderr = ''
	child.stdout.on('data', (piece: Buffer) => {
		stdout += piece.toString()
	})
	child.stderr.on('data', (piece: Buffer) => {
		stderr += piece.toString()
	})
	const [status] = await once(child, 'close')
	return { status, stdout, stderr }
}
