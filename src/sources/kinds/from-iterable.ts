/** A source that is an async iterable, and can wait: it is not asked for more than the queue takes. */

import { hushAll } from '../../guard/hush.ts'
import { discard, follow as onceSettled, settle } from '../../guard/promises.ts'
import { attempt, methodOf } from '../../guard/values.ts'
import { checkFunction } from '../../model/check.ts'
import type { SampleSink, Source } from '../source.ts'
import { checkMapping, type MappingOptions, sampleOf, type ToSample } from './mapping.ts'

/**
 * Monitors what an iterable yields. Waits with it while the queue is full.
 *
 * @param open gives a fresh one for each connection. Its end, or a throw, is a lost connection.
 */
export function fromIterable<T>(
	open: (signal: AbortSignal) => AsyncIterable<T> | Promise<AsyncIterable<T>>,
	options: MappingOptions<T> = {},
): Source {
	checkFunction('open', open)
	const sample = checkMapping(options)
	return {
		async monitor(sink) {
			const iterable = (await settle(open(sink.signal))) as AsyncIterable<T>
			sink.opened()
			const items = methodOf(iterable, Symbol.asyncIterator)?.()
			discard(items)
			await follow(items, sink, sample)
		},
	}
}

/** How long one iterable may go on before others get their turn. */
const TURN_MS = 5

/** An iterator that waits for its next item cannot be told to stop: it is left behind. */
async function follow<T>(items: unknown, sink: SampleSink, toSample: ToSample<T> | undefined): Promise<void> {
	let stopWaiting = () => {}
	let turnMs = performance.now()
	sink.signal.addEventListener('abort', () => stopWaiting(), { once: true })
	try {
		while (!sink.signal.aborted) {
			const next = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
				stopWaiting = () => resolve(undefined)
				onceSettled(methodOf(items, 'next')?.(), resolve as (result: unknown) => void, reject)
			})
			if (next === undefined) return
			const { done, value } = next
			hushAll(done, value)
			if (done === true) return
			const sample = sampleOf(value, toSample)
			if (sample !== undefined) await sink.put(sample)
			if (performance.now() - turnMs < TURN_MS) continue
			// What always has a next item ready would keep everything else from running.
			await new Promise((resolve) => setImmediate(resolve))
			turnMs = performance.now()
		}
	} finally {
		attempt(() => discard(methodOf(items, 'return')?.()), undefined)
	}
}
