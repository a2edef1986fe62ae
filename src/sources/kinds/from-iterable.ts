/**
 * A source that reads an async iterable. The source can wait, because it requests the next item only if the
 * queue is not full.
 */
import { hushAll } from '../../guard/hush.ts'
import { discard, follow as onceSettled, settle } from '../../guard/promises.ts'
import { attempt, methodOf } from '../../guard/values.ts'
import { checkFunction } from '../../model/check.ts'
import type { SampleSink, Source } from '../source.ts'
import { checkMapping, type MappingOptions, sampleOf, type ToSample } from './mapping.ts'

/**
 * Returns a source that pushes the items of an async iterable, and waits while the queue is full.
 *
 * @param open Function that returns a new iterable for each connection. If the iterable ends or throws, the
 * connection is lost.
 * @throws {MeshChainError} `INVALID_OPTION`
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

/** Maximum time to read an iterable without yielding to other work, in ms. */
const TURN_MS = 5

/**
 * Pushes the items of an iterable. An iterator that waits for its next item cannot be interrupted, so it is
 * abandoned when the signal is aborted.
 */
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
			// An iterable whose next item is always ready would otherwise starve all other work.
			await new Promise((resolve) => setImmediate(resolve))
			turnMs = performance.now()
		}
	} finally {
		attempt(() => discard(methodOf(items, 'return')?.()), undefined)
	}
}
