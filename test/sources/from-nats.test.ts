/** The NATS source and the status changes of its connection. test/large/fleet uses real servers. */
import { EventEmitter, once } from 'node:events'
import { expect, test } from 'vitest'
import { fromNats, type SampleSink } from '../../src/sources/index.ts'

/** A connection whose status changes can end, as those of a connection that fails to report them. */
class Connection extends EventEmitter {
	readers = 0
	subscribe() {
		return { closed: new Promise<undefined>(() => {}), unsubscribe: () => {} }
	}
	async *status(): AsyncGenerator<{ type: string; server: string }> {
		this.readers++
		this.emit('reader')
		for (;;) {
			const [status] = await once(this, 'status')
			if (status === undefined) return
			yield status
		}
	}
}

function watchedBy(connection: Connection) {
	const ending = new AbortController()
	const lost: string[] = []
	const sink = {
		signal: ending.signal,
		opened: () => {},
		push: () => {},
		lost: (cause: Error) => void lost.push(cause.message),
	} as unknown as SampleSink
	const done = fromNats(connection as never, 'a').monitor!(sink)
	const end = async () => {
		ending.abort()
		await done
	}
	return { lost, end }
}

test('a source that starts after the status reader ended starts it again', async () => {
	const connection = new Connection()
	const first = watchedBy(connection)
	expect(connection.readers).toBe(1)
	connection.emit('status', { type: 'disconnect', server: 'one' })
	await expect.poll(() => first.lost).toEqual(['the connection to one was lost'])
	connection.emit('status', undefined)
	await first.end()
	const again = once(connection, 'reader')
	const second = watchedBy(connection)
	await again
	connection.emit('status', { type: 'disconnect', server: 'two' })
	await expect.poll(() => second.lost).toEqual(['the connection to two was lost'])
	expect(connection.readers).toBe(2)
	await second.end()
})
