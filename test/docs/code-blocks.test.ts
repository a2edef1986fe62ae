/**
 * Runs the code of README.md and docs/ unchanged.
 *
 * The JavaScript of a page runs in page order, in a folder that holds the chain of the demo; so do the lines
 * of its shell blocks that call mesh-chain. A block marked `excerpt` is only parsed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask } from '../support/databases.ts'
import { type NatsServer, startNats } from '../support/nats-server.ts'
import { type Fence, fencesOf, markdownFiles, readPage } from '../support/pages.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { ROOT, run, runExample } from '../support/process.ts'

// Inside the project, so that `mesh-chain` resolves to this build.
mkdirSync(join(ROOT, '.tmp'), { recursive: true })
const folder = mkdtempSync(join(ROOT, '.tmp', 'pages-'))
const demo = join(folder, 'demo')
const bin = join(folder, 'bin')
let postgres: Postgres
let nats: NatsServer

beforeAll(async () => {
	// Does the same as `npx mesh-chain`, in a tenth of the time.
	mkdirSync(bin)
	const npx = `#!/bin/sh\nshift\nexec '${process.execPath}' '${join(ROOT, 'dist/cli/main.js')}' "$@"\n`
	writeFileSync(join(bin, 'npx'), npx, { mode: 0o755 })
	await runExample('demo/run.ts', [demo])
	postgres = await startPostgres()
	nats = await startNats({ storeDir: join(folder, 'nats') })
}, 180_000)
afterAll(async () => {
	await postgres.remove()
	await nats.stop()
	rmSync(folder, { recursive: true, force: true })
})

let databases = 0

/** Creates an empty database, in the variables of node-postgres. */
async function newDatabase(name = `pages_${++databases}`): Promise<Record<string, string>> {
	await ask(postgres.config, `create database ${name}`)
	const { host, port, user, password } = postgres.config
	return { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: name }
}

/** Creates a folder with the files that the demo leaves. */
function newFolder(): string {
	const cwd = mkdtempSync(join(folder, 'page-'))
	cpSync(demo, cwd, { recursive: true })
	return cwd
}

const isJavaScript = ({ language }: Fence) => language === 'js' || language === 'ts'
const isWhole = ({ words }: Fence) => !words.includes('excerpt')

/** Returns syntax errors, with their position in the page. */
function syntaxErrors({ code, language, line }: Fence): string[] {
	const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, allowJs: true }
	const fileName = `block.m${language}`
	const { diagnostics = [] } = ts.transpileModule(code, {
		compilerOptions: options,
		fileName,
		reportDiagnostics: true,
	})
	return diagnostics.map(({ messageText }) => `line ${line}: ${String(messageText)}`)
}

/** A first line such as `// log.mts` names the file, for other blocks that import it. */
async function runProgram({ code }: Fence, name: string, cwd: string) {
	const [, given = `${name}.mjs`] = /^\/\/ (\S+\.m[jt]s)\n/.exec(code) ?? []
	const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
	const there = code.replaceAll('nats://127.0.0.1:4222', nats.url)
	const program = ts.transpileModule(there, { compilerOptions: options }).outputText
	const file = given.replace(/mts$/, 'mjs')
	writeFileSync(join(cwd, file), program)
	const env = code.includes('new pg.') ? await newDatabase() : {}
	return run(process.execPath, [file], { cwd, env })
}

/** Compiles a block against the declarations of this build, under the strictest options. */
function typeErrors({ code }: Fence): string[] {
	const file = join(mkdtempSync(join(folder, 'types-')), 'block.mts')
	writeFileSync(file, code)
	const program = ts.createProgram([file], {
		target: ts.ScriptTarget.ES2022,
		module: ts.ModuleKind.NodeNext,
		moduleResolution: ts.ModuleResolutionKind.NodeNext,
		types: ['node'],
		strict: true,
		noUncheckedIndexedAccess: true,
		exactOptionalPropertyTypes: true,
		noEmit: true,
	})
	return ts
		.getPreEmitDiagnostics(program)
		.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
}

/** Returns the output that comments of `console.log` promise. */
function claimsOf({ code }: Fence): string[] {
	return [...code.matchAll(/console\.(?:log|error)\(.*\) \/\/ (.*)$/gm)].map(([, claim]) => claim ?? '')
}

/** Removes the warnings about failures that an example is about. */
function withoutWarnings(stderr: string): string {
	return stderr.replaceAll(/^.*(MESH_CHAIN_|trace-warnings).*\n/gm, '')
}

/** Returns the lines of a shell block that call mesh-chain, without the rest of a pipeline. */
function commandLines({ code }: Fence): string[] {
	const lines = code
		.replaceAll('\\\n', ' ')
		.split('\n')
		.map((line) => line.replace(/ +# .*$/, ''))
	return lines
		.filter((line) => /(?:^|\| )npx mesh-chain /.test(line))
		.map((line) => line.replace(/^(npx mesh-chain (?:'[^']*'|[^'|])*) \| .*$/, '$1'))
}

/** Runs a line in a shell; a line that follows a chain is interrupted as by Ctrl-C. */
async function runLine(line: string, cwd: string) {
	const there = line.replaceAll('nats://127.0.0.1:4222', nats.url)
	const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}` }
	const command = there.startsWith('npx ') ? `exec ${there}` : there
	const child = spawn('bash', ['-c', command], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
	let stderr = ''
	child.stderr.on('data', (piece: Buffer) => {
		stderr += piece.toString()
	})
	child.stdout.resume()
	const ended = once(child, 'close')
	if (/ -f\b/.test(line)) {
		// A line without matches prints nothing.
		await Promise.race([once(child.stdout, 'data'), new Promise((resolve) => setTimeout(resolve, 3000))])
		child.kill('SIGINT')
	}
	const [status] = await ended
	return { status, stderr }
}

async function runLines(fence: Fence, cwd: string): Promise<void> {
	for (const line of commandLines(fence)) {
		const { status, stderr } = await runLine(line, cwd)
		// Some commands report what they did.
		expect([line, status, stderr.replaceAll(/^mesh-chain: (?:\S+: )?[\d,]+ \w+ .*\n/gm, '')]).toEqual([
			line,
			0,
			'',
		])
	}
}

const readme = fencesOf(readPage('README.md'))

test('TypeScript examples compile under the strictest options', () => {
	const pages = markdownFiles().filter((path) => path === 'README.md' || path.startsWith('docs/'))
	const fences = pages.flatMap((path) => fencesOf(readPage(path))).filter(isWhole)
	const examples = fences.filter(({ language }) => language === 'ts')
	expect(examples.length).toBeGreaterThan(0)
	expect(examples.flatMap(typeErrors)).toEqual([])
	const wrong = { ...examples[0]!, code: "import { MeshLoop } from 'mesh-chain'\nnew MeshLoop(1)" }
	expect(typeErrors(wrong)).toHaveLength(1)
})

describe('README.md', () => {
	const programs = readme.filter(isJavaScript)

	test.each(programs.map((fence, index) => [index + 1, fence] as const))(
		'example %i runs',
		async (index, fence) => {
			const cwd = mkdtempSync(join(folder, 'run-'))
			const { status, stderr } = await runProgram(fence, `readme-${index}`, cwd)
			expect(stderr.replace('alert: order 17\n', '')).toBe('')
			expect(status).toBe(0)
		},
	)

	test('shows the output of its examples', async () => {
		const claims = programs.flatMap(claimsOf)
		expect(claims.length).toBeGreaterThan(0)
		for (const fence of programs) {
			const { stdout } = await runProgram(fence, 'printed', mkdtempSync(join(folder, 'run-')))
			for (const claim of claimsOf(fence)) expect(stdout.split('\n')).toContain(claim)
		}
	})

	test('contains only command lines that work', async () => {
		const cwd = newFolder()
		for (const fence of readme) if (fence.language === 'sh') await runLines(fence, cwd)
	}, 120_000)
})

describe('docs/', () => {
	const pages = markdownFiles().filter((path) => path.startsWith('docs/') && path !== 'docs/tutorial.md')
	const withCode = pages
		.map((path) => [path, fencesOf(readPage(path))] as const)
		.filter(([, fences]) => fences.some((fence) => isJavaScript(fence) || fence.language === 'sh'))

	test.each(withCode)('the code of %s parses', async (_path, fences) => {
		expect(fences.filter(isJavaScript).flatMap(syntaxErrors)).toEqual([])
		for (const { language, code } of fences) {
			if (language === 'sh')
				expect(await run('bash', ['-n', '-c', code])).toMatchObject({ status: 0, stderr: '' })
		}
	})

	test.each(withCode)(
		'the code of %s runs, and prints the documented output',
		{ timeout: 180_000 },
		async (path, fences) => {
			const cwd = newFolder()
			for (const fence of fences.filter(isWhole)) {
				if (fence.language === 'sh') await runLines(fence, cwd)
				if (!isJavaScript(fence)) continue
				const { status, stdout, stderr } = await runProgram(fence, `line-${fence.line}`, cwd)
				expect([path, fence.line, status, withoutWarnings(stderr)]).toEqual([path, fence.line, 0, ''])
				for (const claim of claimsOf(fence)) expect(stdout.split('\n')).toContain(claim)
			}
		},
	)
})

describe('the database traffic of docs/how-to/sql.md', () => {
	test('is replayed into another database, with the documented answers', async () => {
		const cwd = mkdtempSync(join(folder, 'traffic-'))
		const fences = fencesOf(readPage('docs/how-to/sql.md'))
		const program = fences.find(({ code }) => code.includes('pool.query'))
		writeFileSync(join(cwd, 'shop.mjs'), program?.code ?? '')
		const served = await run(process.execPath, ['shop.mjs'], { cwd, env: await newDatabase('shop') })
		expect([served.status, served.stderr]).toEqual([0, ''])

		const env = await newDatabase('staging')
		const quoted = fences.find(({ code }) => code.startsWith('$ npx mesh-chain replay-sql'))?.code ?? ''
		const steps = quoted.split(/^\$ npx mesh-chain /m).slice(1)
		// Times and ids differ.
		const plain = (output: string) =>
			output.replaceAll(/[\d.]+ s\b/g, '0 s').replaceAll(/tx \S+:1:/g, 'tx s:1:')
		const statuses: (number | null)[] = []
		for (const step of steps) {
			const [line = '', ...said] = step.trim().split('\n')
			const args = [join(ROOT, 'dist/cli/main.js'), ...line.split(' ')]
			const { status, stdout, stderr } = await run(process.execPath, args, { cwd, env })
			expect([plain(stdout).trim(), stderr]).toEqual([plain(said.join('\n')), ''])
			statuses.push(status)
		}
		expect(statuses).toEqual([0, 3])
	})
})
