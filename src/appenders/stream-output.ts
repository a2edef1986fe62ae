/** Writes to a stream of the application. The stream may throw, fail or never call back. */
import { hush } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { attempt, messageOf, propertyOf } from '../guard/values.ts'
import type { Output } from '../platform/output-descriptor.ts'

/** The methods of a `Writable` that a `ConsoleAppender` uses. */
export interface TextStream {
	write(text: Uint8Array, done: (error?: Error | null) => void): unknown
	on?(event: 'error' | 'close', listener: (error?: Error) => void): unknown
	off?(event: 'error' | 'close', listener: (error?: Error) => void): unknown
}

/** An output that passes its bytes to a stream, and waits until the stream has written them. */
export class StreamOutput implements Output {
	readonly isTerminal: boolean
	readonly isImmediate = false
	readonly #stream: TextStream
	/** Ends the write in flight, if there is one. */
	#fail: ((error: unknown) => void) | undefined
	#failure: Error | undefined

	constructor(stream: TextStream) {
		this.#stream = stream
		this.isTerminal = propertyOf(stream, 'isTTY') === true
		// Without a listener, an error of the stream would end the process.
		attempt(() => {
			discard(stream.on?.('error', this.#onError))
			discard(stream.on?.('close', this.#onClose))
		}, undefined)
	}

	write(bytes: Uint8Array, offset: number): Promise<number> {
		if (this.#failure !== undefined) return Promise.reject(this.#failure)
		return new Promise((resolve, reject) => {
			this.#fail = reject
			try {
				const done = (error?: Error | null) => (error ? reject(error) : resolve(bytes.length - offset))
				discard(this.#stream.write(bytes.subarray(offset), done))
			} catch (thrown) {
				hush(thrown)
				reject(thrown)
			}
		})
	}

	writeOnExit(bytes: Uint8Array): number {
		if (this.#failure !== undefined || bytes.length === 0) return 0
		return attempt(() => {
			discard(this.#stream.write(bytes, () => {}))
			return bytes.length
		}, 0)
	}

	close(): void {
		attempt(() => {
			discard(this.#stream.off?.('close', this.#onClose))
		}, undefined)
	}

	/** After an error event, a stream accepts nothing more. */
	readonly #onError = (error?: Error): void => this.#end(messageOf(error))

	readonly #onClose = (): void => this.#end('the stream is closed')

	#end(reason: string): void {
		this.#failure ??= Object.assign(new Error(reason), { code: 'EPIPE' })
		this.#fail?.(this.#failure)
	}
}
