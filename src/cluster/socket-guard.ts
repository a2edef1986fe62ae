/**
 * Watches over the socket of a connection. The client of NATS leaves it open when a server takes a connection and then says nothing in time, as a frozen one does: it
 * would keep the process alive for as long as the server has it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

const dials = new AsyncLocalStorage<SocketGuard>()

subscribe('net.client.socket', (message) => {
	dials.getStore()?.take((message as { readonly socket: Socket }).socket)
})

export class SocketGuard {
	#socket: Socket | undefined

	/** What connects, and connects again later: each of its sockets takes the place of the one before. */
	run<T>(connect: () => Promise<T>): Promise<T> {
		return dials.run(this, connect)
	}

	take(socket: Socket): void {
		this.end()
		this.#socket = socket
	}

	/** Nothing waits for the other side. */
	end(): void {
		this.#socket?.destroy()
	}
}
