import { channel } from 'node:diagnostics_channel'
import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'

/** A server that accepts connections and sends nothing. */
async function silentServer(): Promise<number> {
	const server = createServer(() => {}).listen(0, '127.0.0.1')
	onTestFinished(() => void server.close())
	await new Promise((resolve) => server.once('listening', resolve))
	const address = server.address()
	if (address === null || typeof address === 'string') throw new Error('no port')
	return address.port
}

test('sockets are watched from the first connection, not from the import', async () => {
	await import('../../src/cluster/index.ts')
	expect(channel('net.client.socket').hasSubscribers).toBe(false)
	const { connect } = await import('node:net')
	const { SocketGuard } = await import('../../src/cluster/socket-guard.ts')
	const port = await silentServer()
	const guard = new SocketGuard()
	const socket = await guard.run(async () => connect(port, '127.0.0.1'))
	expect(channel('net.client.socket').hasSubscribers).toBe(true)
	guard.end()
	expect(socket.destroyed).toBe(true)
})
