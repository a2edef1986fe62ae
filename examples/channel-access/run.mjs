// @ts-check
/**
 * An event recorder from end to end: beacons and clients are recorded on real sockets, written in the form of the recorder that this
 * one stands in for, read back from it, and replayed at their own pace.
 *
 *   node examples/channel-access/run.mjs [FOLDER]      leaves recorded.chain, recorded.jsonl and again.chain in FOLDER (default: here)
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exportJsonl, FileChainAppender, importJsonl, MeshLoop, openChain, replay } from 'mesh-chain'
import { format, writeBeacon } from './events.mjs'
import { startRecorder } from './recorder.mjs'

const BEACONS = 12
const BEACON_MS = 60
const CLIENTS = 3
const CLIENT_MS = 250

const folder = resolve(process.argv[2] ?? '.')
const recorded = join(folder, 'recorded.chain')
const lines = join(folder, 'recorded.jsonl')
const again = join(folder, 'again.chain')

mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) if (/^(?:recorded|again)\./.test(name)) rmSync(join(folder, name))

/** @param {number} port */
async function sendBeacons(port) {
	const socket = createSocket('udp4')
	for (let seq = 0; seq < BEACONS; seq++) {
		socket.send(writeBeacon({ port: 5064, seq, version: 13 }), port, '127.0.0.1')
		await sleep(BEACON_MS)
	}
	socket.close()
}

/** @param {number} port */
async function comeAndGo(port) {
	for (let left = CLIENTS; left > 0; left--) {
		const client = connect(port, '127.0.0.1')
		await once(client, 'connect')
		await sleep(CLIENT_MS)
		client.end()
		await once(client, 'close')
	}
}

/** @type {MeshLoop<import('./events.mjs').ChannelAccessEvents>} */
const loop = new MeshLoop(new FileChainAppender(recorded))
const recorder = await startRecorder(loop)
await Promise.all([sendBeacons(recorder.beaconPort), comeAndGo(recorder.serverPort)])
await sleep(BEACON_MS)
await recorder.close()
await loop.close()

const chain = await openChain(recorded)
const { records } = await chain.info()
const exported = await exportJsonl(chain, lines, { format })
await chain.close()
const imported = await importJsonl(lines, again, { format })

const copy = await openChain(again)
/** @type {string[]} */
const printed = []
const replayed = await replay(
	copy,
	({ kind, tsMs, data }) => {
		const { server, seq, peer } = /** @type {{ server?: string, seq?: number, peer?: string }} */ (data)
		const what = kind === 'beacon_recv' ? `${server} beacon ${seq}` : peer
		printed.push(kind)
		console.log(`${new Date(tsMs).toISOString().slice(11, 23)}  ${kind.padEnd(18)} ${what}`)
	},
	{ speed: 1 },
)
await copy.close()

/** @param {string} kind */
const count = (kind) => printed.filter((each) => each === kind).length
console.log(`
events recorded   ${records}
lines written     ${exported.lines}
records read back ${imported.records}
replayed          ${replayed.replayed}, each at its time, at the most ${Math.ceil(replayed.lateMsMax)} ms late`)
const isAll = [exported.lines, imported.records, replayed.replayed].every((each) => each === records)
const isRight =
	count('beacon_recv') === BEACONS &&
	count('client_connect') === CLIENTS &&
	count('client_disconnect') === CLIENTS
if (!isAll || !isRight) process.exitCode = 1
