/**
 * A source that listens for an event from an `EventEmitter`. The source cannot wait, because `emit` is
 * synchronous.
 */
import { type EventEmitter, errorMonitor } from 'node:events'
import { discard } from '../../guard/promises.ts'
import { attempt } from '../../guard/values.ts'
import { checkFunction, checkName } from '../../model/check.ts'
import { aborted } from '../../platform/wait.ts'
import type { Source } from '../source.ts'
import { checkMapping, type MappingOptions, sampleOf } from './mapping.ts'

/**
 * Returns a source that pushes the first argument of each event. An `error`, `close` or `end` event means
 * that the connection is lost. The connection is regained when the next sample arrives. The source only
 * observes errors, so an emitter without an `error` listener still throws.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function fromEmitter<T = unknown>(
	emitter: Pick<EventEmitter, 'on' | 'off'>,
	event: string | symbol,
	options: MappingOptions<T> = {},
): Source {
	const toSample = checkMapping(options)
	checkFunction('emitter.on', emitter?.on)
	checkFunction('emitter.off', emitter.off)
	if (typeof event !== 'symbol') checkName('the name of an event', event)
	return {
		async monitor(sink) {
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
			try {
				for (const [name, listener] of listeners) discard(emitter.on(name, listener))
				sink.opened()
				await aborted(sink.signal)
			} finally {
				// Every listener is removed, even if the emitter throws for one of them, because the next attempt
				// adds its own listeners.
				for (const [name, listener] of listeners)
					attempt(() => discard(emitter.off(name, listener)), undefined)
			}
		},
	}
}
