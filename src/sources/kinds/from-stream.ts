/**
 * A source that reads a Node stream. The source can wait, because a paused stream applies backpressure to its
 * writer.
 */
import { finished, type Readable } from 'node:stream'
import { settle } from '../../guard/promises.ts'
import { attempt, methodOf } from '../../guard/values.ts'
import { checkFunction } from '../../model/check.ts'
import { aborted } from '../../platform/wait.ts'
import type { Source } from '../source.ts'
import { checkMapping, type MappingOptions, sampleOf } from './mapping.ts'

/**
 * Returns a source that pushes the chunks of a stream: objects in object mode, otherwise bytes as they
 * arrive. To read lines, use `fromIterable` with `createInterface` from `node:readline`. The source waits
 * while the queue is full, and destroys the stream when the source ends.
 *
 * @param open Function that returns a new stream for each connection. If the stream ends or fails, the
 * connection is lost.
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function fromStream<T = unknown>(
	open: (signal: AbortSignal) => Readable | Promise<Readable>,
	options: MappingOptions<T> = {},
): Source {
	checkFunction('open', open)
	const toSample = checkMapping(options)
	return {
		async monitor(sink) {
			const stream = (await settle(open(sink.signal))) as Readable
			// If the signal was aborted while the stream was being opened, the stream is destroyed at once.
			void aborted(sink.signal).then(() => attempt(() => void methodOf(stream, 'destroy')?.(), undefined))
			sink.opened()
			methodOf(stream, 'on')?.('data', (given: unknown) => {
				const item = given as T
				const sample = sampleOf(item, toSample)
				const room = sample === undefined ? undefined : sink.put(sample)
				if (room === undefined) return
				stream.pause()
				void room.then(() => stream.resume())
			})
			await new Promise<void>((resolve, reject) => {
				finished(stream, (error) => (error == null ? resolve() : reject(error)))
			})
		},
	}
}
