/** A source that is a channel of `node:diagnostics_channel`. It cannot wait: publishing is synchronous. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Source } from '../source.ts'
import { type MappingOptions, sampleOf } from './mapping.ts'

/** Monitors what is published on a channel. Messages often hold live objects: let `sample` pick out what is data. */
export function fromChannel<T = unknown>(
	name: string | symbol,
	{ sample: toSample }: MappingOptions<T> = {},
): Source {
	return {
		monitor(sink) {
			const take = (message: unknown) => {
				const sample = sampleOf(message as T, toSample)
				if (sample !== undefined) sink.push(sample)
			}
			subscribe(name, take)
			sink.opened()
			return new Promise((resolve) => {
				sink.signal.addEventListener('abort', () => {
					unsubscribe(name, take)
					resolve()
				})
			})
		},
	}
}
