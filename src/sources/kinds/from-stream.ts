/** A source that is a Node stream. It can wait, because a paused stream holds its writer back. */
import { finished, type Readable } from 'node:stream'
import { settle } from '../../guard/promises.ts'
import { attempt, methodOf } from '../../guard/values.ts'
import { checkFunction } from '../../model/check.ts'
import { aborted } from '../../platform/wait.ts'
import type { Source } from '../source.ts'
import { checkMapping, type MappingOptions, sampleOf } from './mapping.ts'

/**
 * Returns a source that pushes the chunks of a stream: its objects, or bytes as they arrive (for lines, use
 * `fromIterable` with `createInterface` of `node:readline`). Waits while the queue is full, and destroys the
 * stream when the source ends.
 *
 * @param open returns a new stream for each connection. Its end, or an error, is a lost connection.
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
			// Attached after opening, because the signal may be aborted during it.
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
