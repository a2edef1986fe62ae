/**
 * Shows an event recorder from end to end: it records events on real sockets, exports them in the format of
 * another recorder, imports them, and replays them at the original pace.
 *
 *   node --import ./examples/typescript.mjs examples/channel-access/run.ts [FOLDER]
 *
 * Creates recorded.chain, recorded.jsonl and again.chain in FOLDER. Default: the current folder.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exportJsonl, FileChainAppender, importJsonl, MeshLoop, openChain, replay } from 'mesh-chain'
import { type ChannelAccessEvents, format, writeBeacon } from './events.ts'
import { startRecorder } from './recorder.ts'

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

async function sendBeacons(port: number): Promise<void> {
	const socket = createSocket('udp4')
	for (let seq = 0; seq < BEACONS; seq++) {
		socket.send(writeBeacon({ port: 5064, seq, version: 13 }), port, '127.0.0.1')
		await sleep(BEACON_MS)
	}
	socket.close()
}

async function connectClients(port: number): Promise<void> {
	for (let left = CLIENTS; left > 0; left--) {
		const client = connect(port, '127.0.0.1')
		await once(client, 'connect')
		await sleep(CLIENT_MS)
		client.end()
		await once(client, 'close')
	}
}

const loop = new MeshLoop<ChannelAccessEvents>(new FileChainAppender(recorded))
const recorder = await startRecorder(loop)
await Promise.all([sendBeacons(recorder.beaconPort), connectClients(recorder.serverPort)])
await sleep(BEACON_MS)
await recorder.close()
await loop.close()

const chain = await openChain(recorded)
const { records } = await chain.info()
const exported = await exportJsonl(chain, lines, { format })
await chain.close()
const imported = await importJsonl(lines, again, { format })

const copy = await openChain(again)
const printed: string[] = []
const replayed = await replay(
	copy,
	({ kind, tsMs, data }) => {
		const { server, seq, peer } = data as { server?: string; seq?: number; peer?: string }
		const what = kind === 'beacon_recv' ? `${server} beacon ${seq}` : peer
		printed.push(kind)
		console.log(`${new Date(tsMs).toISOString().slice(11, 23)}  ${kind.padEnd(18)} ${what}`)
	},
	{ speed: 1 },
)
await copy.close()

const lateMs = Math.ceil(replayed.lateMsMax)
const count = (kind: string) => printed.filter((each) => each === kind).length
console.log(`
events recorded   ${records}
lines written     ${exported.lines}
records read back ${imported.records}
replayed          ${replayed.replayed} at the original pace, at most ${lateMs} ms late`)
const isAll = [exported.lines, imported.records, replayed.replayed].every((each) => each === records)
const isRight =
	count('beacon_recv') === BEACONS &&
	count('client_connect') === CLIENTS &&
	count('client_disconnect') === CLIENTS
if (!isAll || !isRight) process.exitCode = 1
