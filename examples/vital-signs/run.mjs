/**
 * Now and then a service answers late, and no request of its own is slow. This runs it and finds the moment from its vital signs alone:
 * README.md beside it goes through it step by step.
 *
 *   node examples/vital-signs/run.mjs [FOLDER]      leaves vitals/ in FOLDER (default: here)
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
const program = fileURLToPath(import.meta.resolve('mesh-chain')).replace(/index\.js$/, 'cli/main.js')
const here = (name) => fileURLToPath(new URL(name, import.meta.url))

mkdirSync(cwd, { recursive: true })
rmSync(join(cwd, 'vitals'), { recursive: true, force: true })

/** Customers who ask for prices, and once, in the middle, somebody who wants a report. Gives the slowest answer of a price. */
async function traffic(port) {
	const answers = []
	const ask = async (path) => {
		const startMs = performance.now()
		await (await fetch(`http://127.0.0.1:${port}${path}`)).json()
		return performance.now() - startMs
	}
	await ask('/price') // the first one sets connections up
	for (let request = 0; request < REQUESTS; request++) {
		if (request === REQUESTS / 2) ask('/report').catch(() => {})
		answers.push(ask('/price'))
		await sleep(REQUEST_MS)
	}
	return Math.max(...(await Promise.all(answers)))
}

/** Runs a real command line and shows what it really prints. */
async function show(commandLine) {
	console.log(`\n$ npx mesh-chain ${commandLine}`)
	const { stdout, stderr } = await promisify(execFile)(
		process.execPath,
		[program, ...commandLine.split(' ')],
		{ cwd },
	)
	process.stdout.write(stdout + stderr)
	return stdout
}

async function records(commandLine) {
	const { stdout } = await promisify(execFile)(process.execPath, [program, ...commandLine.split(' ')], {
		cwd,
	})
	return stdout
		.split('\n')
		.filter(Boolean)
		.map((line) => JSON.parse(line))
}

const service = fork(here('service.mjs'), [join(cwd, 'vitals')], {
	stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
})
const [{ port }] = await once(service, 'message')
const slowestMs = await traffic(port)
console.log(`${REQUESTS} prices were asked for; the slowest answer took ${Math.round(slowestMs)} ms`)
await show('sources status vitals')
const exited = once(service, 'exit')
service.kill('SIGTERM')
await exited

await show('sources report vitals')

const time = (tsMs) => new Date(tsMs).toISOString()
const delays = await records('dump vitals/samples.chain -o ndjson --daemon event-loop')
const requests = await records('dump vitals/samples.chain -o ndjson -k request')
const spikes = delays
	.filter(({ data }) => data.value.maxMs >= SLOW_MS)
	.toSorted((a, b) => b.data.value.maxMs - a.data.value.maxMs)

/**
 * The request that blocked the event loop is the one after which nothing was heard for longest. It began at most `maxMs` before the block ended,
 * and the next scan, or the one after it, says how long that was.
 */
const around = ({ tsMs, data }) => ({ fromMs: Math.floor(tsMs - data.value.maxMs) - WINDOW_MS, toMs: tsMs })
function blockedBy(spike) {
	const { fromMs, toMs } = around(spike)
	const began = requests.filter(({ tsMs }) => tsMs >= fromMs && tsMs <= toMs)
	const silenceMs = (at) => (began[at + 1]?.tsMs ?? toMs) - began[at].tsMs
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
