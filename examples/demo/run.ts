/**
 * Shows that a SIGKILL loses no answered request. This is the main reason to use a chain.
 *
 * Kills an HTTP service under load, starts it again with the same chain, and stops it. Finally checks that
 * the chain contains every request that was answered.
 *
 *   npm run demo                                                     in a clone; builds first
 *   node --import ./examples/typescript.mjs examples/demo/run.ts [FOLDER]
 *
 * Creates node.chain in FOLDER. Default: the current folder.
 */
import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openChain } from 'mesh-chain'

const CLIENTS = 8
const LOAD_MS = { SIGKILL: 2500, SIGTERM: 1500 }

const folder = resolve(process.argv[2] ?? '.')
const chainPath = join(folder, 'node.chain')
const shownPath = relative(process.cwd(), chainPath) || 'node.chain'
const program = fileURLToPath(new URL('./dist/cli/main.js', import.meta.resolve('mesh-chain/package.json')))
const totalsPath = relative(process.cwd(), fileURLToPath(new URL('totals.mjs', import.meta.url)))
const servicePath = fileURLToPath(new URL('service.ts', import.meta.url))

const answered: string[] = []
let sent = 0
let random = 12345

async function startService(): Promise<{ child: ChildProcess; port: number }> {
	const child = fork(servicePath, [chainPath], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
	const [{ port }] = (await once(child, 'message')) as [{ port: number }]
	return { child, port }
}

/** Sends one request after another until the load stops or the service ends. */
async function client(port: number, agent: Agent, load: { readonly stopped: boolean }): Promise<void> {
	while (!load.stopped) {
		const id = `r${++sent}`
		random = (random * 1103515245 + 12345) % 2 ** 31
		const amount = 1 + (random % 999)
		const status = await order(port, agent, id, amount).catch(() => undefined)
		if (status === undefined) return
		answered.push(id)
	}
}

function order(port: number, agent: Agent, id: string, amount: number): Promise<number | undefined> {
	return new Promise((done, failed) => {
		const call = request(
			{
				host: '127.0.0.1',
				port,
				agent,
				method: 'POST',
				path: `/orders?amount=${amount}`,
				headers: { 'x-request-id': id },
			},
			(response) =>
				response
					.resume()
					.on('end', () => done(response.statusCode))
					.on('error', failed),
		)
		call.on('error', failed).end()
	})
}

/**
 * Sends requests to the service for a while and then ends the service with a signal: SIGKILL during the load,
 * or SIGTERM after the load.
 */
async function life(number: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
	const { child, port } = await startService()
	const before = answered.length
	const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS })
	const load = { stopped: false }
	const clients = Array.from({ length: CLIENTS }, () => client(port, agent, load))
	await sleep(LOAD_MS[signal])
	if (signal !== 'SIGKILL') {
		load.stopped = true
		await Promise.all(clients)
	}
	const exited = once(child, 'exit')
	child.kill(signal)
	await exited
	await Promise.all(clients)
	agent.destroy()
	console.log(`life ${number}: ${answered.length - before} requests answered, then ${signal}`)
}

async function idsInChain(): Promise<{ ids: Set<unknown>; records: number }> {
	const ids = new Set<unknown>()
	let records = 0
	const chain = await openChain(chainPath)
	for await (const batch of chain.batches()) {
		for (const { kind, data } of batch) {
			records++
			if (kind.startsWith('order.')) ids.add((data as { requestId: string }).requestId)
		}
	}
	await chain.close()
	return { ids, records }
}

/** Runs a command line and prints its output. */
async function show(commandLine: string): Promise<void> {
	console.log(`\n$ npx mesh-chain ${commandLine}`)
	const words = commandLine.match(/'[^']*'|\S+/g) ?? []
	const args = words.map((word) => (word === 'node.chain' ? chainPath : word.replaceAll("'", '')))
	const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args], {
		maxBuffer: 1 << 24,
	})
	process.stdout.write(stdout.replaceAll(chainPath, shownPath) + stderr.replaceAll(chainPath, shownPath))
}

const startedMs = Date.now()
mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) if (name.startsWith('node.chain')) rmSync(join(folder, name))
await life(1, 'SIGKILL')
const killedMs = Date.now()
const killedIso = new Date(killedMs).toISOString()
await life(2, 'SIGTERM')

const { ids, records } = await idsInChain()
const missing = answered.filter((id) => !ids.has(id))

await show('info node.chain')
await show('dump node.chain -o pretty -l error -n 2')
await show('dump node.chain -o pretty -k order.accepted -n 3 -r')
await show(`dump node.chain -o pretty -S ${killedIso} -n 3`)
await show('verify node.chain')
// Replays the last second before the kill into a program, at twice the original speed.
const window = `-S ${new Date(killedMs - 1000).toISOString()} -U ${killedIso}`
await show(`replay node.chain ${window} -k order.accepted --speed 2 --to 'exec:node ${totalsPath}'`)

console.log(`
summary
  requests sent          ${sent}
  answered to a client   ${answered.length}
  of these in the chain  ${answered.length - missing.length}
  missing                ${missing.length}${missing.length === 0 ? '' : `: ${missing.slice(0, 5).join(' ')}`}
  records in the chain   ${records}
  seconds                ${((Date.now() - startedMs) / 1000).toFixed(1)}
  the chain is at        ${shownPath}; explore it: npx mesh-chain dump ${shownPath}`)
if (missing.length > 0 || answered.length === 0) process.exitCode = 1
