/** Runs `mesh-chain sources` while a process archives, after it has closed, and after it was killed. */
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { fromFunction } from '../../src/sources/kinds/from-function.ts'
import type { Source } from '../../src/sources/source.ts'
import { SourceManager } from '../../src/sources/source-manager.ts'
import { meshChain, says, startModule } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

/**
 * Archives in a process of its own until stdin ends. Reports readiness once the registry has counted
 * something.
 */
const ARCHIVING = `
	import { FileChainAppender, MeshLoop } from 'mesh-chain'
	import { fromFunction, SourceManager } from 'mesh-chain/sources'
	const folder = process.argv[1]
	const loop = new MeshLoop(new FileChainAppender(folder + '/samples.chain'))
	const policies = [{ name: 'often', match: 'clock*', mode: { scanIntervalMs: 10 } }]
	const registry = folder + '/sources.chain'
	const manager = new SourceManager(loop, { registry, saveIntervalMs: 50, policies })
	await manager.archive('clock', fromFunction(() => Date.now()))
	await manager.alias('time', 'clock')
	await manager.archive('never', { monitor: (sink) => new Promise((end) => sink.signal.onabort = end) })
	await manager.archive('lost', {
		async monitor(sink) {
			sink.push({ value: 1 })
			throw new Error('reset \\x1b[2J by peer')
		},
	})
	const mode = { scanIntervalMs: 10 }
	await manager.archive('mixed', fromFunction(() => (Date.now() % 2 ? 1 : 'one')), { mode })
	await manager.archive('held', fromFunction(() => 1), { mode })
	await manager.pause('held')
	setTimeout(() => console.log('archiving'), 1500)
	process.on('SIGTERM', async () => {
		await manager.close()
		await loop.close()
	})
`

interface Told {
	readonly registry: { readonly state: string; readonly savedMs: number; readonly missing: number }
	readonly sources: readonly Record<string, unknown>[]
	readonly report: Readonly<Record<string, unknown>>
}

async function asked(...args: string[]): Promise<Told> {
	const { status, stdout, stderr } = await meshChain(['sources', ...args, '-o', 'json'])
	expect([status, stderr]).toEqual([0, ''])
	return JSON.parse(stdout) as Told
}

describe('of a process that archives', () => {
	test('status and report show the current state, and after the end the last one', async () => {
		const folder = temporaryFolder()
		const child = startModule(ARCHIVING, [folder])
		await says(child, 'archiving')

		const status = await meshChain(['sources', 'status', folder])
		expect([status.status, status.stderr]).toEqual([0, ''])
		const [head, rest] = status.stdout.split('\n\n')
		expect(head).toMatch(/^as of {6}\d{4}-\S+, [0-9] s ago$/m)
		expect(head).toContain(`writer     open by process ${child.pid} on `)
		const lines = rest!.trimEnd().split('\n')
		expect(lines).toHaveLength(6)
		expect(lines[0]).toMatch(/^name +state +mode +policy +connection +received +stored +dropped +/)
		expect(lines[1]).toMatch(/^clock = time +active +scan every 10 ms +often +connected since \S+ +\d+ +\d+ /)
		expect(lines[1]).toMatch(/ [1-9]\d*\.\d {2}number$/)
		expect(lines[2]).toMatch(/^held +paused +scan every 10 ms +idle +(\d+) +\1 /)
		expect(lines[3]).toMatch(
			/^lost +active +monitor +disconnected since \S+ +1 +1 .*reset \\x1b\[2J by peer$/,
		)
		expect(lines[4]).toMatch(/^mixed +active .* type \d+ /)
		expect(lines[5]).toMatch(/^never +active +monitor +connecting +0 +0 /)

		const report = await meshChain(['sources', 'report', join(folder, 'sources.chain'), '--color', 'always'])
		expect([report.status, report.stderr]).toEqual([0, ''])
		expect(report.stdout).toContain('\u001b[1mnever connected\u001b[22m \u001b[33mnever\u001b[39m\n')
		const { report: found, registry } = await asked('report', folder)
		expect(registry.state).toBe('open')
		expect(found).toMatchObject({ sources: 5, active: 4, paused: ['held'], neverConnected: ['never'] })
		expect(found).toMatchObject({ disconnected: [{ name: 'lost' }], losses: [{ name: 'mixed' }] })

		const ended = once(child, 'close')
		child.kill('SIGTERM')
		await ended
		const after = await meshChain(['sources', 'report', folder])
		expect([after.status, after.stderr]).toEqual([0, ''])
		expect(after.stdout).toContain('writer     closed\n           no writer is running: ')
		expect(after.stdout).toMatch(/^received +(\d+), \d+ stored$/m)
		const [clock] = (await asked('status', folder, 'time')).sources
		expect(clock).toMatchObject({ name: 'clock', state: 'active', connection: 'idle', policy: 'often' })
	})

	test('a killed process is shown as such, with the connections of its last save', async () => {
		const folder = temporaryFolder()
		const child = startModule(ARCHIVING, [folder])
		await says(child, 'archiving')
		const ended = once(child, 'close')
		child.kill('SIGKILL')
		await ended
		const { status, stdout } = await meshChain(['sources', 'status', folder, 'clock'])
		expect(status).toBe(0)
		expect(stdout).toContain('writer     crashed: the last writer was killed, or the machine lost power\n')
		expect(stdout).toContain('no writer is running: connections and rates were current at that time')
		expect(stdout).toMatch(/^clock = time .* connected since /m)
		const { registry, report } = await asked('report', folder)
		expect([registry.state, report['silent']]).toEqual(['crashed', []])
	})

	test('the next process does not inherit the connections of a killed one', async () => {
		const folder = temporaryFolder()
		const child = startModule(ARCHIVING, [folder])
		await says(child, 'archiving')
		const ended = once(child, 'close')
		child.kill('SIGKILL')
		await ended
		await using loop = new MeshLoop()
		await using _manager = new SourceManager(loop, {
			registry: join(folder, 'sources.chain'),
			saveIntervalMs: 50,
		})
		await expect
			.poll(async () => (await asked('status', folder, 'clock')).sources[0])
			.toMatchObject({ state: 'active', connection: 'idle', rate: 0 })
	})
})

/** Creates a folder with the registry of a manager that has closed. */
async function archived(sources: Readonly<Record<string, Source>>): Promise<string> {
	const folder = temporaryFolder()
	const loop = new MeshLoop()
	const manager = new SourceManager(loop, { registry: join(folder, 'sources.chain') })
	for (const [name, source] of Object.entries(sources))
		await manager.archive(name, source, { mode: { scanIntervalMs: 1000 } })
	await manager.close()
	await loop.close()
	return folder
}

test('names, aliases and errors from outside cannot control the terminal', async () => {
	const folder = await archived({
		'\u001b[31mred\n': fromFunction(() => {
			throw new Error('\u001b]0;title\u0007')
		}),
	})
	for (const word of ['status', 'report']) {
		const { stdout } = await meshChain(['sources', word, folder, '--color', 'never'])
		expect(stdout).toContain('\\x1b[31mred\\n')
		expect([...stdout].filter((unit) => unit < ' ' && unit !== '\n')).toEqual([])
	}
	const { status, stderr } = await meshChain(['sources', 'status', folder, '\u001b[31m'])
	expect([status, stderr.includes('\u001b')]).toEqual([2, false])
})

test('a damaged registry gives status 3, and the rest of it is shown', async () => {
	const one = fromFunction(() => 1)
	const folder = await archived({ first: one, second: one, third: one })
	const path = join(folder, 'sources.chain')
	const bytes = readFileSync(path)
	const at = bytes.lastIndexOf('second')
	writeFileSync(path, bytes.fill(0, at - 40, at + 10))
	for (const word of ['status', 'report']) {
		const { status, stdout, stderr } = await meshChain(['sources', word, folder])
		expect([status, stdout.includes('sources.chain')]).toEqual([3, true])
		expect(stderr).toMatch(
			/: \d+ records are absent, so sources may be missing or outdated; next: mesh-chain verify /,
		)
	}
	const { stdout } = await meshChain(['sources', 'status', folder, '-o', 'json'])
	expect((JSON.parse(stdout) as Told).registry.missing).toBeGreaterThan(0)
})

test('an empty registry gives status 0, with a message', async () => {
	const folder = await archived({})
	const { status, stderr } = await meshChain(['sources', 'status', folder])
	expect([status, stderr]).toEqual([0, 'mesh-chain: the registry contains no sources\n'])
})

test('other files and folders are refused, with advice', async () => {
	const folder = temporaryFolder()
	const other = join(folder, 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(other))
	loop.info('no source')
	await loop.close()
	mkdirSync(join(folder, 'empty'))
	const full = await archived({ pump: fromFunction(() => 1) })
	const cases: readonly (readonly [readonly string[], string])[] = [
		[[], 'sources requires one of status, report'],
		[['stats', folder], 'did you mean status?'],
		[['status'], 'status requires the registry folder'],
		[['status', join(folder, 'nowhere')], 'does not exist'],
		[['status', join(folder, 'empty')], 'contains no sources.chain'],
		[['report', other], 'is not a registry'],
		[['report', full, 'pump'], 'report always covers all sources'],
		[['status', full, 'pumq'], 'SOURCE_NOT_FOUND: no source is archived under "pumq"; did you mean "pump"?'],
	]
	for (const [args, message] of cases) {
		const { status, stdout, stderr } = await meshChain(['sources', ...args])
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(message)
	}
})
