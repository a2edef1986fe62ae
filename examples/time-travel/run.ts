/**
 * Shows how to find a bug after the process has ended: a customer was charged too little, and only the chain
 * is left.
 *
 * Runs the shop and then performs the steps that README.md in this folder describes.
 *
 *   node --import ./examples/typescript.mjs examples/time-travel/run.ts [FOLDER]
 *
 * Creates shop.chain in FOLDER. Default: the current folder.
 */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openChain } from 'mesh-chain'
import { stateAt } from 'mesh-chain/recorder'
import apply, { initial } from './carts.mjs'

const CARTS = 12

const folder = resolve(process.argv[2] ?? '.')
const chainPath = join(folder, 'shop.chain')
const program = fileURLToPath(new URL('./dist/cli/main.js', import.meta.resolve('mesh-chain/package.json')))
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const foldPath = relative(process.cwd(), here('carts.mjs'))

mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) if (name.startsWith('shop.chain')) rmSync(join(folder, name))

/**
 * Acts as all customers. The client of one customer sends a request again because the answer takes too long.
 */
async function shop(port: number): Promise<Map<string, number>> {
	const ask = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).json()
	for (let cart = 1; cart <= CARTS; cart++) {
		for (const price of [30, 50, 20]) await ask(`/add?cart=c${cart}&price=${price}`)
		await ask(`/coupon?cart=c${cart}&percent=10`)
		if (cart === 7) await ask(`/coupon?cart=c${cart}&percent=10`)
	}
	const totals = new Map<string, number>()
	for (let cart = 1; cart <= CARTS; cart++) totals.set(`c${cart}`, Number(await ask(`/total?cart=c${cart}`)))
	return totals
}

/** Runs a command line and prints its output. */
async function show(commandLine: string): Promise<string> {
	console.log(`\n$ npx mesh-chain ${commandLine}`)
	const args = commandLine.split(' ').map((word) => (word === 'shop.chain' ? chainPath : word))
	const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args])
	process.stdout.write(stdout + stderr)
	return stdout
}

const service = fork(here('service.ts'), [chainPath], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
const [{ port }] = (await once(service, 'message')) as [{ port: number }]
const totals = await shop(port)
const exited = once(service, 'exit')
service.kill('SIGTERM')
await exited

for (const [cart, total] of totals)
	if (total !== 90) console.log(`${cart} was charged ${total} instead of 90`)

await show('sessions shop.chain')
const answered = await show('dump shop.chain -o ndjson -k total.answered -l warn')
const { seq, data } = JSON.parse(answered.split('\n')[0] ?? '')
await show(`dump shop.chain -o pretty --from-seq ${seq}  -n 2`.replace('  ', ' '))

const chain = await openChain(chainPath)
const before = await stateAt(chain, { seq: seq - 1 }, { fold: apply, initial })
await chain.close()
console.log(`\nthe cart just before: ${JSON.stringify(before[data.cart])}`)

const changes = await show(`dump shop.chain -o ndjson -k coupon.applied -g ${data.cart}`)
const [, second] = changes
	.split('\n')
	.filter(Boolean)
	.map((line) => JSON.parse(line))
await show(`state shop.chain --fold ${foldPath} --at ${second.seq - 1} --diff ${second.seq}`)

const isFound = before[data.cart]?.coupons.length === 2 && data.cart === 'c7'
console.log(
	isFound
		? '\nthe coupon was applied twice: the service does not recognise a repeated request'
		: '\nnot found',
)
if (!isFound) process.exitCode = 1
