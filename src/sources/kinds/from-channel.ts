/**
 * A source that subscribes to a channel of `node:diagnostics_channel`. The source cannot wait, because
 * publishing is synchronous.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { checkName } from '../../model/check.ts'
import { aborted } from '../../platform/wait.ts'
import type { Source } from '../source.ts'
import { checkMapping, type MappingOptions, sampleOf } from './mapping.ts'

/**
 * Returns a source that pushes the messages published on a channel. Messages often contain live objects. Use
 * `sample` to extract the data.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function fromChannel<T = unknown>(name: string | symbol, options: MappingOptions<T> = {}): Source {
	const toSample = checkMapping(options)
	if (typeof name !== 'symbol') checkName('the name of a channel', name)
	return {
		async monitor(sink) {
			const take = (message: unknown) => {
				const sample = sampleOf(message as T, toSample)
				if (sample !== undefined) sink.push(sample)
			}
			subscribe(name, take)
			sink.opened()
			await aborted(sink.signal)
			unsubscribe(name, take)
		},
	}
}
