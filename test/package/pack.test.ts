/** Tests the package as its users get it: packed, installed elsewhere, imported, required and typed. */
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import { build } from 'esbuild'
import { beforeAll, expect, test, vi } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { linksOf } from '../support/pages.ts'
import { type Ended, ROOT, run, start } from '../support/process.ts'

let folder: string
let tarball: string

async function must(command: string, args: readonly string[], cwd: string): Promise<Ended> {
	const ended = await run(command, args, { cwd })
	if (ended.status !== 0) throw new Error(`${command} ${args.join(' ')}\n${ended.stdout}${ended.stderr}`)
	return ended
}

beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'mesh-chain-pack-'))
	const { stdout } = await must(
		'npm',
		['pack', '--ignore-scripts', '--json', '--pack-destination', folder],
		ROOT,
	)
	const packed: unknown = JSON.parse(stdout)
	const [report] = (Array.isArray(packed) ? packed : Object.values(packed as object)) as {
		filename: string
	}[]
	tarball = join(folder, report?.filename ?? '')
	writeFileSync(
		join(folder, 'package.json'),
		JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
	)
	await must('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', tarball], folder)
	const names = '{ FileChainAppender, MeshLoop, openChain }'
	writeFileSync(join(folder, 'use.mjs'), `import ${names} from 'mesh-chain'\n${USE}`)
	writeFileSync(join(folder, 'use.cjs'), `const ${names} = require('mesh-chain'); (async () => { ${USE} })()`)
	return () => rmSync(folder, { recursive: true, force: true })
})

test('it contains the intended files and runs no install script', async () => {
	const { stdout } = await must('tar', ['-tzf', tarball], folder)
	const files = stdout.trim().split('\n')
	expect(files).toContain('package/dist/index.js')
	expect(files).toContain('package/LICENSE')
	const within = String.raw`dist/|docs/|examples/|bench/results/full\.|test/interop/read_chain\.py`
	const intended = new RegExp(String.raw`^package/(?:${within}|package\.json|LICENSE|\w+\.md)`)
	expect(files.filter((path) => !intended.test(path))).toEqual([])
	// Source maps are two thirds of a build, and no user has asked for them.
	expect(files.filter((path) => path.endsWith('.map'))).toEqual([])
	expect(files.filter((path) => /\.chain|node_modules/.test(path))).toEqual([])
	const manifest = JSON.parse(readFileSync(join(folder, 'node_modules/mesh-chain/package.json'), 'utf8'))
	expect(
		Object.keys(manifest.scripts ?? {}).filter((name) => /^((pre|post)?install|prepare)$/.test(name)),
	).toEqual([])
	expect(Object.keys(manifest.dependencies).toSorted()).toEqual([
		'eventemitter3',
		'microdiff',
		'msgpackr',
		'p-limit',
		're2js',
	])
})

const REQUIRE =
	"import { createRequire as requireFor } from 'node:module'; const require = requireFor(import.meta.url)"
const USE = `
	const loop = new MeshLoop(new FileChainAppender('used.chain'))
	loop.info('hello', { from: 'a consumer' })
	await loop.close()
	const chain = await openChain('used.chain')
	for await (const record of chain.records({ limit: 1 })) console.log(record.message, record.data.from)
	await chain.close()
`

test('an empty ESM project can import it', async () => {
	const { stdout } = await must(process.execPath, ['use.mjs'], folder)
	expect(stdout).toBe('hello a consumer\n')
})

test.each([
	['consume', 'consume'],
	['consume', 'project'],
	['recorder', 'stateAt'],
	['sources', 'SourceManager'],
	['testing', 'appenderContract'],
])('mesh-chain/%s exports %s', async (subpath, name) => {
	const source = `import { ${name} } from 'mesh-chain/${subpath}'; console.log(typeof ${name})`
	const { stdout } = await must(process.execPath, ['--input-type=module', '-e', source], folder)
	expect(stdout).toBe('function\n')
})

test('CommonJS can require it', async () => {
	const { stdout } = await must(process.execPath, ['use.cjs'], folder)
	expect(stdout).toBe('hello a consumer\n')
})

test('the links of its pages lead to files in it', async () => {
	const { stdout } = await must('tar', ['-tzf', tarball], folder)
	const files = new Set(stdout.trim().split('\n'))
	const broken = [...files]
		.filter((path) => path.endsWith('.md'))
		.flatMap((path) =>
			linksOf(readFileSync(join(folder, 'node_modules/mesh-chain', path.slice('package/'.length)), 'utf8'))
				.filter((target) => !/^(?:\w+:|#)/.test(target))
				.map((target) => normalize(join(dirname(path), target.split('#')[0] ?? '')))
				.filter((target) => !files.has(target))
				.map((target) => `${path}: ${target}`),
		)
	expect(broken).toEqual([])
})

test('the Fastify example records answered orders with it, and closes the chain on SIGTERM', async () => {
	const example = join(folder, 'fastify')
	cpSync(join(ROOT, 'examples/fastify'), example, {
		recursive: true,
		filter: (path) => !path.includes('node_modules'),
	})
	const manifest = readFileSync(join(example, 'package.json'), 'utf8')
	writeFileSync(join(example, 'package.json'), manifest.replace('file:../..', `file:${tarball}`))
	await must('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], example)
	await must('npx', ['esbuild', 'service.ts', '--outfile=service.mjs', '--log-level=error'], example)

	const port = await freePort()
	const service = start(process.execPath, ['service.mjs'], { cwd: example, env: { PORT: String(port) } })
	const url = `http://127.0.0.1:${port}/orders?amount=12`
	const answer = await vi.waitFor(() => fetch(url, { method: 'POST' }), { timeout: 30_000, interval: 100 })
	expect([answer.status, await answer.json()]).toEqual([201, { accepted: 12 }])
	const ended = once(service, 'exit')
	service.kill('SIGTERM')
	expect(await ended).toEqual([null, 'SIGTERM'])

	const chain = ['--no-install', 'mesh-chain']
	const { stdout } = await must('npx', [...chain, 'dump', 'orders.chain', '-k', 'order.accepted'], example)
	expect(JSON.parse(stdout)).toMatchObject({ data: { amount: 12, requestId: expect.any(String) } })
	const { stdout: info } = await must('npx', [...chain, 'info', 'orders.chain', '-o', 'json'], example)
	expect(JSON.parse(info)).toMatchObject({ state: 'closed' })
})

test('its program runs after an installation', async () => {
	await must(process.execPath, ['use.mjs'], folder)
	const { stdout } = await must(
		'npx',
		['--no-install', 'mesh-chain', 'dump', 'used.chain', '-n', '1'],
		folder,
	)
	expect(JSON.parse(stdout)).toMatchObject({ seq: 1, message: 'hello' })
})

test('its program runs in a clone, as documented', async () => {
	const { stdout } = await must('npx', ['mesh-chain', '--version'], ROOT)
	expect(stdout.trim()).toBe(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version)
})

const TYPED = `
	import { BufferingAppender, type LogRecord, MeshLoop } from 'mesh-chain'
	import { BlackBox } from 'mesh-chain/recorder'
	import { SourceManager } from 'mesh-chain/sources'
	import { appenderContract } from 'mesh-chain/testing'
	type Events = { 'order.accepted': { id: number } }
	const loop = new MeshLoop<Events>(new BufferingAppender({ capacity: 10 }), { level: 'debug' })
	loop.on('order.accepted', (record) => { const id: number = record.data!.id; void id })
	const record: LogRecord | undefined = loop.emit('order.accepted', { id: 7 })
	// @ts-expect-error the data of an event has a type
	loop.emit('order.accepted', { id: 'seven' })
	void [record, appenderContract, BlackBox, SourceManager]
`

test.each([
	['ES modules', 'module', 'NodeNext', 'NodeNext'],
	['CommonJS', 'commonjs', 'Node16', 'Node16'],
	['CommonJS as old compilers resolve it', 'commonjs', 'CommonJS', 'Node10'],
	['a bundler', 'module', 'ESNext', 'Bundler'],
])(
	'its types resolve in a strict %s project that also checks libraries',
	async (name, type, module, moduleResolution) => {
		const project = join(folder, `typed-${name.replaceAll(' ', '-')}`)
		mkdirSync(project, { recursive: true })
		writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type }))
		writeFileSync(join(project, 'use.ts'), TYPED)
		const options = {
			module,
			moduleResolution,
			target: 'ES2023',
			lib: ['ES2023', 'ESNext.Disposable'],
			strict: true,
			exactOptionalPropertyTypes: true,
			noEmit: true,
			skipLibCheck: false,
			types: ['node'],
			typeRoots: [join(ROOT, 'node_modules/@types')],
		}
		writeFileSync(
			join(project, 'tsconfig.json'),
			JSON.stringify({ compilerOptions: options, files: ['use.ts'] }),
		)
		await must(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', project], folder)
	},
	120_000,
)

test.each(['esm', 'cjs'] as const)(
	'esbuild bundles it into one file (%s) that runs elsewhere',
	async (format) => {
		const source = format === 'esm' ? 'use.mjs' : 'use.cjs'
		const bundled = `bundled-${format}.${format === 'esm' ? 'mjs' : 'cjs'}`
		await build({
			entryPoints: [join(folder, source)],
			outfile: join(folder, 'elsewhere', bundled),
			bundle: true,
			platform: 'node',
			format,
			logLevel: 'error',
			// Bundled packages such as msgpackr call `require`, which an ES module does not have.
			banner: format === 'esm' ? { js: REQUIRE } : {},
		})
		const { stdout } = await must(process.execPath, [bundled], join(folder, 'elsewhere'))
		expect(stdout).toBe('hello a consumer\n')
	},
)

test('publint finds nothing', async () => {
	const { stdout } = await must('npx', ['publint', '--strict', tarball], ROOT)
	expect(stdout).toMatch(/All good/i)
})

test('attw finds nothing', async () => {
	await must('npx', ['attw', '--profile', 'strict', tarball], ROOT)
})
