/**
 * Runs the examples of docstrings and of examples/ unchanged. test/docs/code-blocks.test.ts runs the code of
 * README.md and docs/.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask } from '../support/databases.ts'
import { sourceFiles } from '../support/layers.ts'
import { type NatsServer, startNats } from '../support/nats-server.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { ROOT, run, runExample, TYPESCRIPT } from '../support/process.ts'

// Inside the project, so that `mesh-chain` resolves to this build.
mkdirSync(join(ROOT, '.tmp'), { recursive: true })
const folder = mkdtempSync(join(ROOT, '.tmp', 'examples-'))
let postgres: Postgres
let nats: NatsServer
beforeAll(async () => {
	postgres = await startPostgres()
	nats = await startNats({ storeDir: join(folder, 'nats') })
}, 120_000)
afterAll(async () => {
	await postgres.remove()
	await nats.stop()
	rmSync(folder, { recursive: true, force: true })
})

let databases = 0

/** Creates an empty database, in the variables of node-postgres. */
async function newDatabase(name = `examples_${++databases}`): Promise<Record<string, string>> {
	await ask(postgres.config, `create database ${name}`)
	const { host, port, user, password } = postgres.config
	return { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: name }
}

function fenced(text: string, language: string): string[] {
	const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))
	return [...blocks].map(([, code]) => code ?? '')
}

async function runDocstring(code: string, name: string) {
	const cwd = mkdtempSync(join(folder, 'run-'))
	const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
	const there = code.replaceAll('nats://127.0.0.1:4222', nats.url)
	writeFileSync(join(cwd, `${name}.mjs`), ts.transpileModule(there, { compilerOptions: options }).outputText)
	return run(process.execPath, [`${name}.mjs`], {
		cwd,
		env: code.includes('new pg.') ? await newDatabase() : {},
	})
}

/**
 * Removes the warnings about failures that the example is about, or about the torn tail of a killed process.
 */
function withoutWarnings(stderr: string): string {
	return stderr.replaceAll(/^.*(MESH_CHAIN_|trace-warnings).*\n/gm, '')
}

/** A stream with records that another node has forwarded. */
const FORWARDED = `
	import { MeshLoop as Loop } from 'mesh-chain'
	import { forwardChain as forwardOther } from 'mesh-chain/cluster'
	for (const node of ['node', 'api-1']) {
		const loop = new Loop(new Writer(node + '.chain'), { nodeId: node })
		loop.info('here')
		await loop.close()
	}
	await using other = forwardOther('api-1.chain', { servers: 'nats://127.0.0.1:4222', create: {} })
	await other.flushed()
`

describe('docstrings', () => {
	const examples = [...sourceFiles(join(ROOT, 'src'))].flatMap(([path, text]) =>
		fenced(text.replaceAll(/^\s*\* ?/gm, ''), 'ts').map((code) => [path, code] as const),
	)

	test('have examples, all of them fenced', () => {
		expect(examples.length).toBeGreaterThanOrEqual(4)
		const tags = [...sourceFiles(join(ROOT, 'src')).values()].join('').match(/@example/g)
		expect(tags).toHaveLength(examples.length)
	})

	test.each(examples)('the example of %s runs', async (path, code) => {
		const chains = new Set([...code.matchAll(/openChain\('(.*?)'\)/g)].map(([, file]) => file))
		const lines = code.includes("readJsonl('") || code.includes("importJsonl('") ? ['node.jsonl'] : []
		const source = [
			"import { FileChainAppender as Writer, JsonlAppender as Lines } from 'mesh-chain'",
			...[...chains].map((file) => `await new Writer('${file}').close()`),
			...lines.map((file) => `await new Lines('${file}').close()`),
			...(code.includes('nats://') ? [FORWARDED] : []),
			code,
		].join('\n')
		const { status, stderr } = await runDocstring(source, path.replaceAll(/\W/g, '-'))
		expect([status, withoutWarnings(stderr)]).toEqual([0, ''])
	})
})

describe('examples/', () => {
	test('the demo loses no answered request across a SIGKILL', async () => {
		const { status, stdout, stderr } = await runExample('demo/run.ts', [join(folder, 'demo')])
		expect(withoutWarnings(stderr)).toBe('')
		expect(status).toBe(0)
		expect(stdout).toMatch(/^ {2}missing {16}0$/m)
		expect(Number(/seconds +([\d.]+)/.exec(stdout)?.[1])).toBeGreaterThan(0)
		expect(readdirSync(join(folder, 'demo'))).toContain('node.chain')
	}, 120_000)

	test('the state just before the wrong answer reveals the bug', {
		timeout: 120_000,
	}, async () => {
		const { status, stdout, stderr } = await runExample('time-travel/run.ts', [join(folder, 'time-travel')])
		expect([status, stderr]).toEqual([0, ''])
		// Compares with the quotation in the README, ignoring times.
		const readme = readFileSync(join(ROOT, 'examples/time-travel/README.md'), 'utf8')
		for (const quoted of readme.matchAll(/^ {3}(?:\$ npx|\S.*c7|\+) .*$/gm)) {
			const [start = '', end = ''] = quoted[0]
				.slice(3)
				.replace(/^ *\d{4}-\S+ /, '')
				.split('…')
			expect(stdout).toContain(start)
			expect(stdout).toContain(end)
		}
	})

	test('the vital signs of the process reveal a blocked event loop', { timeout: 120_000 }, async () => {
		const cwd = join(folder, 'vital-signs')
		const { status, stdout, stderr } = await runExample('vital-signs/run.ts', [cwd])
		expect([status, stderr]).toEqual([0, ''])
		// Compares with the quotation in the README, ignoring numbers.
		const plain = (text: string) =>
			text
				.replaceAll(/\d[\d.,:TZ-]*/g, '0')
				.replaceAll(/ on \S+ since/g, ' since')
				.replaceAll(/ +/g, ' ')
		const readme = readFileSync(join(ROOT, 'examples/vital-signs/README.md'), 'utf8')
		const quoted = [...readme.matchAll(/^ {3}```\n([\s\S]*?)^ {3}```/gm)].flatMap(([, block]) =>
			block!.split('\n').filter((line) => line.trim() !== ''),
		)
		expect(quoted.length).toBeGreaterThan(20)
		const printed = stdout.split('\n').map((line) => plain(line).trim())
		for (const line of quoted) expect(printed).toContain(plain(line).trim())

		const program = [join(ROOT, 'dist/cli/main.js')]
		const records = async (...args: string[]) => {
			const dumped = await run(process.execPath, [...program, 'dump', 'vitals/samples.chain', ...args], {
				cwd,
			})
			expect([dumped.status, dumped.stderr]).toEqual([0, ''])
			const lines = dumped.stdout.split('\n').filter(Boolean)
			return lines.map((line) => JSON.parse(line) as { tsMs: number; data: { value: { maxMs: number } } })
		}
		const [report] = await records('-k', 'request', '-g', '/report')
		const delays = await records('--daemon', 'event-loop')
		const spike = delays.find(
			({ tsMs, data }) => data.value.maxMs >= 200 && tsMs >= report!.tsMs + 200 && tsMs < report!.tsMs + 5000,
		)
		expect(spike).toBeDefined()
		const asked = await run(process.execPath, [...program, 'sources', 'report', 'vitals', '-o', 'json'], {
			cwd,
		})
		expect([asked.status, asked.stderr]).toEqual([0, ''])
		expect(JSON.parse(asked.stdout)).toMatchObject({
			registry: { state: 'closed' },
			report: { sources: 3, active: 3, neverConnected: [], losses: [] },
		})
	})

	test('the unit test passes under node:test', async () => {
		const { status, stdout } = await run(process.execPath, [
			...TYPESCRIPT,
			'--test',
			'--test-reporter=tap',
			'examples/unit-test/orders.test.ts',
		])
		expect([status, stdout]).toEqual([0, expect.stringContaining('# pass 2\n')])
	})
})
