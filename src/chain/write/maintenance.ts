/**
 * Keeps a chain within its bounds while it is being written: runs rotation and retention when they are due,
 * one at a time.
 */
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
	/** The appender, as the source of failure reports. */
	readonly source: object
	/** Whether maintenance has ended, so that no new work may start. */
	readonly isOver: () => boolean
	/**
	 * Called for each failure except a failed rotation. After a failed rotation, the chain continues in its
	 * live file.
	 */
	readonly failed: (error: MeshChainError) => void
}

export class Maintenance {
	readonly #writer: ChainWriter
	readonly #options: MaintenanceOptions
	#isBusy = false
	#rotateNotBefore = 0
	#retainNotBefore = 0
	#lookTimer: NodeJS.Timeout | undefined
	/** Number of times that a full file could not be replaced. */
	rotationFailures = 0

	constructor(writer: ChainWriter, options: MaintenanceOptions) {
		this.#writer = writer
		this.#options = options
	}

	/**
	 * Starts rotation or retention after a write, if one of them is due. A write that was much too large for
	 * one file has already been divided among several files.
	 */
	whenDue(): void {
		if (this.#isBusy || this.#options.isOver()) return
		if (performance.now() < this.#rotateNotBefore) return
		if (this.#isRotationDue) void this.#syncAndRotate()
		else if (this.#writer.isTooLarge && performance.now() >= this.#retainNotBefore) void this.retain(false)
	}

	/** Runs retention by size and, if `looks` is true, also by age with a new clock reading. */
	async retain(looks: boolean): Promise<void> {
		this.#isBusy = true
		try {
			if (this.#options.isOver()) return
			const wasTooLarge = this.#writer.isTooLarge
			await this.#writer.retain(looks ? steadyMs(this.#options.clock) : undefined)
			if (looks && this.#writer.isUnconfirmed) this.#lookAgain()
			// The removal of a file is retried after a failure, but not on every write.
			if (wasTooLarge && this.#writer.isTooLarge) this.#retainNotBefore = performance.now() + RETRY_MS_MAX
		} catch (error) {
			this.#failed(error as MeshChainError)
		} finally {
			this.#isBusy = false
		}
	}

	/** Cancels the wait for another clock reading. */
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

	/** Schedules another clock reading, which may confirm that a file is too old. */
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
