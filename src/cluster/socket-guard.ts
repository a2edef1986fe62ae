/**
 * Owns the socket of a connection. If a server accepts a connection and then sends nothing in time, as a
 * frozen server does, the NATS client leaves the socket open. The socket would keep the process alive as long
 * as the server holds it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** The guard in whose `run` a socket is opened. */
let guards: AsyncLocalStorage<SocketGuard> | undefined

/**
 * Listens to the sockets of the process once the first guard exists, so that importing this file has no side
 * effects.
 */
function listeningGuards(): AsyncLocalStorage<SocketGuard> {
	if (guards !== undefined) return guards
	const storage = new AsyncLocalStorage<SocketGuard>()
	subscribe('net.client.socket', (message) => {
		storage.getStore()?.hold((message as { readonly socket: Socket }).socket)
	})
	guards = storage
	return storage
}

/** The guard of one connection. */
export class SocketGuard {
	#socket: Socket | undefined

	/** Runs code that connects, now or later. Each of its sockets replaces the previous one. */
	run<T>(connect: () => Promise<T>): Promise<T> {
		return listeningGuards().run(this, connect)
	}

	/** Holds a new socket and destroys the previous one. */
	hold(socket: Socket): void {
		this.end()
		this.#socket = socket
	}

	/** Destroys the socket without waiting for the peer. */
	end(): void {
		this.#socket?.destroy()
	}
}
