/**
 * Shows how to record a network protocol. Beacons on a UDP socket and clients of a TCP server become events.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { MeshLoop } from 'mesh-chain'
import { type ChannelAccessEvents, readBeacon } from './events.ts'

export interface NetworkRecorder {
	readonly beaconPort: number
	readonly serverPort: number
	close(): Promise<void>
}

/** Starts a recorder that listens on free ports of the loopback interface until it is closed. */
export async function startRecorder(loop: MeshLoop<ChannelAccessEvents>): Promise<NetworkRecorder> {
	const beacons = createSocket('udp4')
	beacons.on('message', (bytes, sender) => {
		const beacon = readBeacon(bytes, sender)
		if (beacon !== undefined) loop.emit('beacon_recv', beacon)
	})
	beacons.bind(0, '127.0.0.1')
	await once(beacons, 'listening')

	const clients = new Set<Socket>()
	const server = createServer((client) => {
		const peer = `${client.remoteAddress}:${client.remotePort}`
		clients.add(client)
		loop.emit('client_connect', { peer })
		client.on('error', () => {})
		client.on('close', () => {
			clients.delete(client)
			loop.emit('client_disconnect', { peer })
		})
		client.resume()
	})
	server.listen(0, '127.0.0.1')
	await once(server, 'listening')

	return {
		beaconPort: beacons.address().port,
		serverPort: (server.address() as AddressInfo).port,
		async close() {
			beacons.close()
			for (const client of clients) client.destroy()
			server.close()
			await once(server, 'close')
		},
	}
}
