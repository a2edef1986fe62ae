/** The package as its users get it: packed, installed elsewhere, imported, required, typed. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type Ended, ROOT, run } from '../support/process.ts'

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
	return () => rmSync(folder, { recursive: true, force: true })
}, 240_000)

test('it holds what is meant to be in it and runs no install script', async () => {
	const { stdout } = await must('tar', ['-tzf', tarball], folder)
	const files = stdout.trim().split('\n')
	expect(files).toContain('package/dist/index.js')
	expect(files).toContain('package/LICENSE')
	expect(
		files.filter(
			(path) => !/^package\/(dist\/|docs\/|package\.json|README\.md|LICENSE|CHANGELOG\.md)/.test(path),
		),
	).toEqual([])
	const manifest = JSON.parse(readFileSync(join(folder, 'node_modules/mesh-chain/package.json'), 'utf8'))
	expect(Object.keys(manifest.scripts ?? {}).filter((name) => /^(pre|post)?install$/.test(name))).toEqual([])
	expect(Object.keys(manifest.dependencies).toSorted()).toEqual([
		'eventemitter3',
		'microdiff',
		'msgpackr',
		'p-limit',
		're2js',
	])
})

const USE = `
	const loop = new MeshLoop(new FileChainAppender('used.chain'))
	loop.info('hello', { from: 'a consumer' })
	await loop.close()
	const chain = await openChain('used.chain')
	for await (const record of chain.records()) console.log(record.message, record.data.from)
	await chain.close()
`

test('it is imported in an empty ESM project', async () => {
	writeFileSync(
		join(folder, 'use.mjs'),
		`import { FileChainAppender, MeshLoop, openChain } from 'mesh-chain'\n${USE}`,
	)
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

test('it is required from CommonJS', async () => {
	const source = `const { FileChainAppender, MeshLoop, openChain } = require('mesh-chain'); (async () => { ${USE} })()`
	writeFileSync(join(folder, 'use.cjs'), source.replaceAll('used.chain', 'required.chain'))
	const { stdout } = await must(process.execPath, ['use.cjs'], folder)
	expect(stdout).toBe('hello a consumer\n')
})

test('its program runs where it is installed', async () => {
	await must(process.execPath, ['use.mjs'], folder)
	const { stdout } = await must(
		'npx',
		['--no-install', 'mesh-chain', 'dump', 'used.chain', '-n', '1'],
		folder,
	)
	expect(JSON.parse(stdout)).toMatchObject({ seq: 1, message: 'hello' })
})

test('its program runs in a clone, as written', async () => {
	const { stdout } = await must('npx', ['mesh-chain', '--version'], ROOT)
	expect(stdout.trim()).toBe(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version)
})

test('its types resolve in a strict project, libraries checked too', async () => {
	mkdirSync(join(folder, 'typed'), { recursive: true })
	writeFileSync(
		join(folder, 'typed', 'use.ts'),
		`import { BufferingAppender, type LogRecord, MeshLoop } from 'mesh-chain'
		import { appenderContract } from 'mesh-chain/testing'
		type Events = { 'order.accepted': { id: number } }
		const loop = new MeshLoop<Events>(new BufferingAppender({ capacity: 10 }), { level: 'debug' })
		loop.on('order.accepted', (record) => { const id: number = record.data!.id; void id })
		const record: LogRecord | undefined = loop.emit('order.accepted', { id: 7 })
		// @ts-expect-error the data of an event has a type
		loop.emit('order.accepted', { id: 'seven' })
		void record
		void appenderContract
		`,
	)
	const options = {
		module: 'NodeNext',
		moduleResolution: 'NodeNext',
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
		join(folder, 'typed', 'tsconfig.json'),
		JSON.stringify({ compilerOptions: options, files: ['use.ts'] }),
	)
	await must(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'typed'], folder)
}, 120_000)

test('publint finds nothing', async () => {
	const { stdout } = await must('npx', ['publint', '--strict', tarball], ROOT)
	expect(stdout).toMatch(/All good/i)
})

test('attw finds nothing', async () => {
	await must('npx', ['attw', '--profile', 'esm-only', tarball], ROOT)
})
