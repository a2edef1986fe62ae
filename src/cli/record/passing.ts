/**
 * Passes recorded bytes on to an output. A reader that closes the output, or an output that fails, does not
 * end the recording: later bytes are only counted. This module must not know about records.
 */
import { bytes as sizeText } from '../../text/numbers.ts'
import type { Output } from '../terminal.ts'

/** Queue of the bytes for one output, or for none. */
export class Passing {
	readonly #output: Output | undefined
	#queuedBytes = 0
	#unpassedBytes = 0
	#failure: unknown
	#onProgress: () => void = () => {}

	/** @param output Undefined to pass nothing on. */
	constructor(output: Output | undefined) {
		this.#output = output
	}

	/** Whether a person or a program can still receive the bytes. */
	get isOn(): boolean {
		return this.#output !== undefined && !this.#output.isClosed && this.#failure === undefined
	}

	/** Number of bytes that the output has not accepted. */
	get queuedBytes(): number {
		return this.#queuedBytes
	}

	/** The error of an output that failed; undefined if its reader only closed it. */
	get failure(): unknown {
		return this.#failure
	}

	/** Calls a function whenever the queue becomes shorter. Replaces the function of an earlier call. */
	onProgress(progressed: () => void): void {
		this.#onProgress = progressed
	}

	/** Adds bytes to the queue. They must not change. */
	pass(bytes: Uint8Array): void {
		if (this.#output === undefined || bytes.length === 0) return
		if (!this.isOn) {
			this.#unpassedBytes += bytes.length
			return
		}
		this.#queuedBytes += bytes.length
		void this.#write(this.#output, bytes)
	}

	/** Resolves when the queue is empty, or when the signal aborts. */
	async finish(stop: AbortSignal): Promise<void> {
		while (this.#queuedBytes > 0 && !stop.aborted) {
			await new Promise<void>((resolve) => {
				this.onProgress(resolve)
				stop.addEventListener('abort', () => resolve(), { once: true })
			})
		}
	}

	/** Describes the bytes that were recorded but not passed on; empty if there are none. */
	unpassedText(): string {
		const unpassedBytes = this.#unpassedBytes + this.#queuedBytes
		if (this.#output === undefined || unpassedBytes === 0) return ''
		const why = this.#queuedBytes > 0 ? 'was not read' : this.#output.isClosed ? 'was closed' : 'failed'
		return `${sizeText(unpassedBytes)} not passed on because ${this.#output.name} ${why}`
	}

	async #write(output: Output, bytes: Uint8Array): Promise<void> {
		try {
			await output.pass(bytes)
		} catch (error) {
			this.#failure ??= error
		}
		if (!this.isOn) this.#unpassedBytes += bytes.length
		this.#queuedBytes -= bytes.length
		this.#onProgress()
	}
}
