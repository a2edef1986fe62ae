/** Keeps a chain within its bounds while it is written: rotates its live file, and has retention done, when either is due. One thing at a time. */
import type { MeshChainError } from '../../model/errors.ts'
import { RETRY_MS_MAX } from '../../model/limits.ts'
import { report, warn } from '../../platform/diagnostics.ts'
import { isRotationDue, type RotationBounds } from './rotation.ts'
import { SECOND_LOOK_MS } from './sealed-files.ts'
import { steadyMs } from './steady-time.ts'
import type { ChainWriter } from './writer.ts'

export interface MaintenanceOptions {
	readonly rotate: RotationBounds
	readonly clock: () => number
	/** Whose chain it is, for whoever hears of failures. */
	readonly source: object
	/** Nothing may begin any more. */
	readonly isOver: () => boolean
	/** Hears of each failure but that of a rotation alone, after which the chain goes on in the file it has. */
	readonly failed: (error: MeshChainError) => void
}

export class Maintenance {
	readonly #writer: ChainWriter
	readonly #options: MaintenanceOptions
	#isBusy = false
	#rotateNotBefore = 0
	#retainNotBefore = 0
	#lookTimer: NodeJS.Timeout | undefined
	/** Files that were full and could not be replaced. */
	rotationFailures = 0

	constructor(writer: ChainWriter, options: MaintenanceOptions) {
		this.#writer = writer
		this.#options = options
	}

	/** Does what is due. The disk is given its time; a write that is far too much for one file has been spread over several by then. */
	whenDue(): void {
		if (this.#isBusy || this.#options.isOver()) return
		if (performance.now() < this.#rotateNotBefore) return
		if (this.#isRotationDue) void this.#syncAndRotate()
		else if (this.#writer.isTooLarge && performance.now() >= this.#retainNotBefore) void this.retain(false)
	}

	/** Has retention done: for the size of the chain, and with a look at the clock for its age too. */
	async retain(looks: boolean): Promise<void> {
		this.#isBusy = true
		try {
			if (this.#options.isOver()) return
			const wasTooLarge = this.#writer.isTooLarge
			await this.#writer.retain(looks ? steadyMs(this.#options.clock) : undefined)
			if (looks && this.#writer.isUnconfirmed) this.#lookAgain()
			// What could not be removed is tried again, and not with each write.
			if (wasTooLarge && this.#writer.isTooLarge) this.#retainNotBefore = performance.now() + RETRY_MS_MAX
		} catch (error) {
			this.#failed(error as MeshChainError)
		} finally {
			this.#isBusy = false
		}
	}

	/** Looks at the clock no more. */
	end(): void {
		clearTimeout(this.#lookTimer)
	}

	get #isRotationDue(): boolean {
		return isRotationDue(this.#options.rotate, this.#writer.live, this.#options.clock)
	}

	async #syncAndRotate(): Promise<void> {
		this.#isBusy = true
		try {
			await this.#writer.syncAndRotate(() => !this.#options.isOver() && this.#isRotationDue)
		} catch (error) {
			this.#failed(error as MeshChainError)
			this.#isBusy = false
			return
		}
		await this.retain(true)
	}

	/** What only one look at the clock has found too old is looked at again, a moment later. */
	#lookAgain(): void {
		clearTimeout(this.#lookTimer)
		this.#lookTimer = setTimeout(() => {
			if (!this.#isBusy) void this.retain(true)
		}, SECOND_LOOK_MS)
		this.#lookTimer.unref()
	}

	#failed(error: MeshChainError): void {
		this.#rotateNotBefore = performance.now() + RETRY_MS_MAX
		if (error.code === 'ROTATION_FAILED') {
			if (this.rotationFailures === 0) warn('ROTATION_FAILED', error.message)
			this.rotationFailures++
			report('failing', { source: this.#options.source, error })
		} else this.#options.failed(error)
	}
}
