// @ts-check
/** Records what happens on a Channel Access network: beacons on a UDP socket, and clients of a TCP server. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { readBeacon } from './events.mjs'

/**
 * Listens on loopback, on ports that are free, until it is closed.
 *
 * @param {import('mesh-chain').MeshLoop<import('./events.mjs').ChannelAccessEvents>} loop
 */
export async function startRecorder(loop) {
	const beacons = createSocket('udp4')
	beacons.on('message', (bytes, sender) => {
		const beacon = readBeacon(bytes, sender)
		if (beacon !== undefined) loop.emit('beacon_recv', beacon)
	})
	beacons.bind(0, '127.0.0.1')
	await once(beacons, 'listening')

	/** @type {Set<import('node:net').Socket>} */
	const clients = new Set()
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
		serverPort: /** @type {import('node:net').AddressInfo} */ (server.address()).port,
		async close() {
			beacons.close()
			for (const client of clients) client.destroy()
			server.close()
			await once(server, 'close')
		},
	}
}
