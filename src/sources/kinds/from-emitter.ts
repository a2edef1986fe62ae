/** A source that is an event of an EventEmitter. It cannot wait: an emitter emits. */
import { type EventEmitter, errorMonitor } from 'node:events'
import type { Source } from '../source.ts'
import { type MappingOptions, sampleOf } from './mapping.ts'

/**
 * Monitors one event; the item is its first argument. An `error`, `close` or `end` of the emitter says that the connection is lost, and the next
 * event that it is back. Errors are only looked at: whoever handles them does so as before.
 */
export function fromEmitter<T = unknown>(
	emitter: Pick<EventEmitter, 'on' | 'off'>,
	event: string | symbol,
	{ sample: toSample }: MappingOptions<T> = {},
): Source {
	return {
		monitor(sink) {
			const take = (item: T) => {
				const sample = sampleOf(item, toSample)
				if (sample !== undefined) sink.push(sample)
			}
			const failed = (error: unknown) => sink.lost(error)
			const closed = () => sink.lost(new Error('the emitter was closed'))
			const listeners = [
				[event, take],
				[errorMonitor, failed],
				['close', closed],
				['end', closed],
			] as const
			for (const [name, listener] of listeners) emitter.on(name, listener)
			sink.opened()
			return new Promise((resolve) => {
				sink.signal.addEventListener('abort', () => {
					for (const [name, listener] of listeners) emitter.off(name, listener)
					resolve()
				})
			})
		},
	}
}
