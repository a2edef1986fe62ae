/** The middle one of three readings of a clock: one that is wrong for a moment is not believed. */
export function steadyMs(clock: () => number): number {
	return [clock(), clock(), clock()].sort((a, b) => a - b)[1]!
}
