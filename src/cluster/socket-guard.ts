/**
 * Owns the socket of a connection. If a server accepts a connection but then sends nothing in time, for
 * example because it is frozen, the NATS client leaves the socket open. The socket would keep the process
 * alive until the server closes it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** Stores, for each async context, the guard that owns the sockets opened there. */
let guards: AsyncLocalStorage<SocketGuard> | undefined

/**
 * Subscribes to new sockets of the process when the first guard is used, so that importing this module has no
 * side effects.
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

	/**
	 * Runs a function that opens a connection, immediately or later. Each socket that it opens replaces the
	 * previous one.
	 */
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
