/**
 * Runs docs/tutorial.md as written: creates its files, runs its commands, and compares the output with the
 * page.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { fencesOf, readPage } from '../support/pages.ts'
import { ROOT, run } from '../support/process.ts'

/** Replaces parts that vary from run to run: times, ids, hashes, processes, and sizes that depend on them. */
function plain(output: string): string {
	return output
		.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
		.replaceAll(/\b[0-9a-f]{32,64}\b/g, 'HASH')
		.replaceAll(/process \d+|(?:port:? |:)\d{4,5}\b/g, 'N')
		.replaceAll(/[\d.,]+ (?:bytes|KiB)/g, 'SIZE')
		.trim()
}

/** Returns commands with the output that the page shows for each. */
function stepsOf(code: string): readonly { command: string; shown: string }[] {
	return code
		.split(/^\$ /m)
		.filter(Boolean)
		.map((step) => {
			const [command = '', ...shown] = step.split('\n')
			return { command, shown: shown.join('\n') }
		})
}

/** A line `…` matches any number of lines. */
function expectShown(command: string, printed: string, shown: string): void {
	if (!shown.includes('…\n')) expect([command, printed]).toEqual([command, shown])
	const pieces = shown.split('…\n')
	let at = 0
	for (const piece of pieces) {
		const found = printed.indexOf(piece, at)
		expect(found, `${command} prints ${piece}, in ${printed}`).toBeGreaterThanOrEqual(at)
		at = found + piece.length
	}
}

test('the tutorial works as written, down to the last line of output', { timeout: 120_000 }, async () => {
	// Inside the project, so that `mesh-chain` resolves to this build.
	mkdirSync(join(ROOT, '.tmp'), { recursive: true })
	const cwd = mkdtempSync(join(ROOT, '.tmp', 'tutorial-'))
	const port = await freePort()
	let service: ChildProcess | undefined
	onTestFinished(() => {
		service?.kill('SIGKILL')
		rmSync(cwd, { recursive: true, force: true })
	})
	const shop = join(cwd, 'shop.mjs')

	async function start(): Promise<string> {
		service = spawn(process.execPath, ['shop.mjs'], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
		const [line] = (await once(service.stdout!, 'data')) as [Buffer]
		return line.toString()
	}

	async function output(command: string): Promise<string> {
		if (command === 'node shop.mjs') return start()
		const [, url] = /^curl '(.*)'$/.exec(command) ?? []
		if (url !== undefined) return (await fetch(`http://${url.replace('8080', String(port))}`)).text()
		if (command.startsWith('kill ')) {
			const exited = once(service!, 'exit')
			service!.kill(command.startsWith('kill -9 ') ? 'SIGKILL' : 'SIGTERM')
			await exited
			return ''
		}
		const words = command
			.replace(/^npx mesh-chain (dump)?/, (_, dump) => (dump ? 'dump -o pretty' : ''))
			.trim()
		const { stdout, stderr } = await run(
			process.execPath,
			[join(ROOT, 'dist/cli/main.js'), ...words.split(/ +/)],
			{
				cwd,
			},
		)
		return stdout + stderr
	}

	let steps = 0
	for (const { language, code } of fencesOf(readPage('docs/tutorial.md'))) {
		if (language === 'js' && code.startsWith('// shop.mjs'))
			writeFileSync(shop, code.replaceAll('8080', String(port)))
		else if (language === 'js') {
			const before = readFileSync(shop, 'utf8')
			writeFileSync(
				shop,
				before.replace(/^\tconst pieces = .*\n/m, () => code),
			)
			expect(readFileSync(shop, 'utf8')).not.toBe(before)
		}
		if (language !== '') continue
		for (const { command, shown } of stepsOf(code)) {
			expectShown(command, plain(await output(command)), plain(shown))
			steps++
		}
	}
	expect(steps).toBeGreaterThan(10)
})
