/**
 * A network between a client and a local server that can freeze, break connections, and inspect the data
 * sent.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface UnreliableNetwork {
	readonly port: number
	/** Number of open connections. */
	readonly open: number
	/** Data that clients sent, one text for each connection. */
	readonly sent: readonly string[]
	/**
	 * Freezes the connection that sends this text: nothing gets through any more, and neither end is
	 * notified.
	 */
	freezeAt(text: string): void
	/** Breaks every connection and refuses new ones. */
	cut(): void
	/**
	 * Calls `decide` before each piece of data from a client is forwarded. The connection can break before
	 * the server receives the piece (`lost`), before it answers (`unanswered`), or after the answer
	 * (`answered`). A pending decision delays the piece.
	 */
	disturb(decide: Decide): void
}

export type Disturbance = 'lost' | 'unanswered' | 'answered'
type Decide = (piece: number, text: string) => Disturbance | undefined | Promise<undefined>

const READY_FOR_QUERY = 'Z'.charCodeAt(0)

export async function unreliableNetwork(to: { host: string; port: number }): Promise<UnreliableNetwork> {
	const pairs = new Set<readonly [Socket, Socket]>()
	const sent: string[] = []
	let freezesAt: string | undefined
	let pieces = 0
	let decide: Decide = () => undefined
	const server = createServer((client) => {
		const upstream = connect(to.port, to.host)
		const pair = [client, upstream] as const
		let isFrozen = false
		let endsWithAnswer = false
		const index = sent.push('') - 1
		pairs.add(pair)
		client.on('data', (data) => {
			const text = data.toString('latin1')
			sent[index] += text
			if (freezesAt !== undefined && text.includes(freezesAt)) isFrozen = true
			if (isFrozen) return
			const fate = decide(pieces++, text)
			if (fate === undefined) upstream.write(data)
			else if (fate instanceof Promise) fate.then(() => upstream.write(data))
			else if (fate === 'answered') {
				endsWithAnswer = true
				upstream.write(data)
			} else {
				// The server still executes the last piece that it received.
				pairs.delete(pair)
				if (fate === 'unanswered') upstream.end(data)
				else upstream.end()
				client.destroy()
			}
		})
		upstream.on('data', (data) => {
			if (isFrozen) return
			client.write(data)
			// A ReadyForQuery ends an answer.
			if (!endsWithAnswer || data.at(-6) !== READY_FOR_QUERY) return
			pairs.delete(pair)
			client.end()
			upstream.end()
		})
		for (const socket of pair) {
			socket.on('error', () => {})
			socket.on('close', () => {
				if (pairs.delete(pair)) for (const each of pair) each.destroy()
			})
		}
	})
	server.listen(0, '127.0.0.1')
	await once(server, 'listening')
	const cut = () => {
		server.close()
		for (const [client] of pairs) client.destroy()
	}
	onTestFinished(cut)
	return {
		port: (server.address() as AddressInfo).port,
		get open() {
			return pairs.size
		},
		sent,
		freezeAt(text) {
			freezesAt = text
		},
		cut,
		disturb(by) {
			decide = by
		},
	}
}
