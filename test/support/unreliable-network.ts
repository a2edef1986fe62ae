/** A network between a client and a server on this machine, that can freeze, break off, and look at what is sent. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface UnreliableNetwork {
	readonly port: number
	/** How many connections are open. */
	readonly open: number
	/** What clients sent, one text for each connection. */
	readonly sent: readonly string[]
	/** Of the connection that sends this nothing gets through any more, and nobody is told. */
	freezeAt(text: string): void
	/** Every connection breaks off; new ones are refused. */
	cut(): void
	/**
	 * Is asked what becomes of each piece that a client sends, before that goes on: the connection breaks off before the server has it (`lost`), once
	 * it has it and before it answers (`unanswered`), or behind the answer (`answered`). What takes time holds it up.
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
				// What it was sent last it does all the same.
				pairs.delete(pair)
				if (fate === 'unanswered') upstream.end(data)
				else upstream.end()
				client.destroy()
			}
		})
		upstream.on('data', (data) => {
			if (isFrozen) return
			client.write(data)
			// A ReadyForQuery is the end of an answer.
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
