/** Measures how many samples per second are received from a source. */

export class RateMeter {
	/** Samples per second between the last two measurements. */
	rate: number
	#countBefore: number

	/**
	 * @param rate Rate that was measured before a restart.
	 * @param count Number of samples received so far.
	 */
	constructor(rate: number, count: number) {
		this.rate = rate
		this.#countBefore = count
	}

	/**
	 * Measures the rate over the `seconds` since the last measurement. Returns whether the rate has changed.
	 */
	measure(count: number, seconds: number): boolean {
		const rate = (count - this.#countBefore) / seconds
		const isChanged = rate !== this.rate
		this.rate = rate
		this.#countBefore = count
		return isChanged
	}
}
