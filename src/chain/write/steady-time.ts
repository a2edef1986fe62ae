/** Returns the median of three clock readings, so that a single wrong reading has no effect. */
export function steadyMs(clock: () => number): number {
	return [clock(), clock(), clock()].sort((a, b) => a - b)[1]!
}
