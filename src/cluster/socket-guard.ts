/**
 * Owns the socket of a connection. The client of NATS leaves the socket open when a server accepts a
 * connection and then sends nothing in time, as a frozen server does. The socket would keep the process alive
 * as long as the server holds it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** The guard in whose `run` a socket is opened. */
let guards: AsyncLocalStorage<SocketGuard> | undefined

/** Listens to the sockets of the process from the first guard on: importing this file has no side effect. */
function listeningGuards(): AsyncLocalStorage<SocketGuard> {
	if (guards !== undefined) return guards
	const storage = new AsyncLocalStorage<SocketGuard>()
	subscribe('net.client.socket', (message) => {
		storage.getStore()?.hold((message as { readonly socket: Socket }).socket)
	})
	guards = storage
	return storage
}

/** Guard of one connection. */
export class SocketGuard {
	#socket: Socket | undefined

	/** Runs code that connects, now and again later: each of its sockets replaces the one before. */
	run<T>(connect: () => Promise<T>): Promise<T> {
		return listeningGuards().run(this, connect)
	}

	/** Holds a new socket and destroys the one before. */
	hold(socket: Socket): void {
		this.end()
		this.#socket = socket
	}

	/** Destroys the socket without waiting for the other side. */
	end(): void {
		this.#socket?.destroy()
	}
}
