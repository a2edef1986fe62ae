/**
 * Shows how to find a blocked event loop in the metrics that a service archived about itself. Prices are
 * sometimes late, although no price request is slow by itself.
 *
 * Runs the service and then performs the steps that README.md in this folder describes.
 *
 *   node --import ./examples/typescript.mjs examples/vital-signs/run.ts [FOLDER]
 *
 * Creates vitals/ in FOLDER. Default: the current folder.
 */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const REQUESTS = 60
const REQUEST_MS = 40
const SLOW_MS = 200
const WINDOW_MS = 200

const cwd = resolve(process.argv[2] ?? '.')
const program = fileURLToPath(new URL('./dist/cli/main.js', import.meta.resolve('mesh-chain/package.json')))
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

mkdirSync(cwd, { recursive: true })
rmSync(join(cwd, 'vitals'), { recursive: true, force: true })

/**
 * Requests prices, and one report halfway through. Returns the duration of the slowest price request in
 * milliseconds.
 */
async function traffic(port: number): Promise<number> {
	const answers: Promise<number>[] = []
	const ask = async (path: string) => {
		const startMs = performance.now()
		await (await fetch(`http://127.0.0.1:${port}${path}`)).json()
		return performance.now() - startMs
	}
	await ask('/price') // The first request sets up the connection.
	for (let request = 0; request < REQUESTS; request++) {
		if (request === REQUESTS / 2) ask('/report').catch(() => {})
		answers.push(ask('/price'))
		await sleep(REQUEST_MS)
	}
	return Math.max(...(await Promise.all(answers)))
}

/** Runs a command line and prints its output. */
async function show(commandLine: string): Promise<void> {
	console.log(`\n$ npx mesh-chain ${commandLine}`)
	const { stdout, stderr } = await promisify(execFile)(
		process.execPath,
		[program, ...commandLine.split(' ')],
		{ cwd },
	)
	process.stdout.write(stdout + stderr)
}

interface Shown {
	readonly tsMs: number
	readonly data: { readonly url: string; readonly value: { readonly maxMs: number } }
}

async function records(commandLine: string): Promise<Shown[]> {
	const { stdout } = await promisify(execFile)(process.execPath, [program, ...commandLine.split(' ')], {
		cwd,
	})
	return stdout
		.split('\n')
		.filter(Boolean)
		.map((line) => JSON.parse(line))
}

const service = fork(here('service.ts'), [join(cwd, 'vitals')], {
	stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
})
const [{ port }] = (await once(service, 'message')) as [{ port: number }]
const slowestMs = await traffic(port)
console.log(`${REQUESTS} prices were requested; the slowest answer took ${Math.round(slowestMs)} ms`)
await show('sources status vitals')
const exited = once(service, 'exit')
service.kill('SIGTERM')
await exited

await show('sources report vitals')

const time = (tsMs: number) => new Date(tsMs).toISOString()
const delays = await records('dump vitals/samples.chain -o ndjson --daemon event-loop')
const requests = await records('dump vitals/samples.chain -o ndjson -k request')
const spikes = delays
	.filter(({ data }) => data.value.maxMs >= SLOW_MS)
	.toSorted((a, b) => b.data.value.maxMs - a.data.value.maxMs)

/**
 * Returns a time window that contains the request that blocked the event loop. The block of `maxMs` ended
 * before the scan that measured it.
 */
const around = ({ tsMs, data }: Shown) => ({
	fromMs: Math.floor(tsMs - data.value.maxMs) - WINDOW_MS,
	toMs: tsMs,
})
/** Returns the request that was followed by the longest silence. */
function blockedBy(spike: Shown): Shown | undefined {
	const { fromMs, toMs } = around(spike)
	const began = requests.filter(({ tsMs }) => tsMs >= fromMs && tsMs <= toMs)
	const silenceMs = (at: number) => (began[at + 1]?.tsMs ?? toMs) - (began[at]?.tsMs ?? toMs)
	const longest = began.reduce((best, _, at) => (silenceMs(at) > silenceMs(best) ? at : best), 0)
	return began[longest]
}
const found = spikes.find((spike) => blockedBy(spike)?.data.url === '/report')
const shown = found ?? spikes[0]
if (shown !== undefined) {
	const { fromMs, toMs } = around(shown)
	const window = `-S ${time(fromMs)} -U ${time(toMs + WINDOW_MS)}`
	await show(`dump vitals/samples.chain -o pretty --daemon event-loop ${window}`)
	await show(`dump vitals/samples.chain -o pretty -k request ${window}`)
}
console.log(found !== undefined ? '\nthe event loop was blocked while /report was answered' : '\nnot found')
if (found === undefined) process.exitCode = 1
