/** The packed mesh-chain in typical projects. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'

const runFile = promisify(execFile)

/** @throws With the whole output of the program. */
async function run(...args) {
	try {
		return await runFile(...args)
	} catch (error) {
		throw new Error(`${error.message}\n${error.stdout}${error.stderr}`)
	}
}

const HERE = import.meta.dirname
const folders = []
after(() => {
	for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** Copies a project of this folder next to the same packages. */
function project(name) {
	const folder = mkdtempSync(join(HERE, '.tmp-'))
	folders.push(folder)
	cpSync(join(HERE, name), folder, { recursive: true })
	symlinkSync(join(HERE, 'node_modules'), join(folder, 'node_modules'))
	return folder
}

const bin = (name) => join(HERE, 'node_modules', '.bin', name)

test('jest in its default mode requires it', async () => {
	const folder = project('jest')
	const { stderr } = await run(bin('jest'), ['--rootDir', folder], { cwd: folder })
	assert.match(stderr, /Tests: +2 passed, 2 total/)
})

test('a NestJS service in CommonJS, compiled by TypeScript 5.4 for node10, writes a chain', async () => {
	const folder = project('nest')
	await run(bin('tsc'), ['-p', folder], { cwd: folder })
	const { stdout } = await run(process.execPath, ['out/main.js'], { cwd: folder })
	assert.equal(stdout, 'order.created 17\nclosed\n')
})

test('Fastify takes a loop as its logger, without secrets of requests', async () => {
	const folder = project('fastify')
	writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
	await run(bin('tsc'), ['-p', folder], { cwd: folder })
	const { stdout } = await run(process.execPath, ['out/main.mjs'], { cwd: folder })
	assert.equal(
		stdout,
		[
			'info incoming request req-1 /orders/7?…',
			'info found req-1',
			'info request completed req-1 200',
			'info incoming request req-2 /fail',
			'error no card req-2 /fail 500',
			'info request completed req-2 500',
			'false 0',
			'',
		].join('\n'),
	)
})

test('webpack bundles it into one file that runs where nothing is installed', async () => {
	const folder = project('webpack')
	const elsewhere = mkdtempSync(join(HERE, '.tmp-'))
	folders.push(elsewhere)
	await run(process.execPath, ['bundle.cjs', join(elsewhere, 'bundle.cjs')], { cwd: folder })
	const { stdout } = await run(process.execPath, ['bundle.cjs'], { cwd: elsewhere })
	assert.equal(stdout, 'hello\n')
})

for (const [module, moduleResolution, type] of [
	['Node16', 'Node16', 'module'],
	['Node16', 'Node16', 'commonjs'],
	['CommonJS', 'Node10', 'commonjs'],
])
	test(`TypeScript 5.4 checks every entry and peer without error: ${moduleResolution}, ${type}`, async () => {
		const folder = project('types')
		writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type }))
		await run(bin('tsc'), ['-p', folder, '--module', module, '--moduleResolution', moduleResolution], {
			cwd: folder,
		})
	})
