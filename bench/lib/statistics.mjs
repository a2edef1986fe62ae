/**
 * Medians with their spread. A ratio is taken within a round, in which both sides run under the same
 * conditions.
 */

/**
 * Returns the median, minimum and maximum of the figures, and the spread, which is the range divided by the
 * median.
 */
export function summary(figures) {
	const sorted = figures.toSorted((a, b) => a - b)
	const half = sorted.length >> 1
	const median = sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
	const [min, max] = [sorted[0], sorted.at(-1)]
	return { median, min, max, spread: median === 0 ? 0 : (max - min) / median }
}

/** Returns the value that the fraction `share` of the sorted figures does not exceed. */
export function percentile(sorted, share) {
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

/**
 * Checks one figure against its target. With `peers`, the value is the ratio to the best peer in each round:
 * how many times as fast with `atLeast`, or what fraction with `atMost`. Without `peers`, the value is the
 * figure itself.
 *
 * @param wanted `figure` names the compared figure. `peerFigure` names the figure of the peers, if it
 * differs.
 */
export function check(wanted, measured) {
	const { ours, peers, label, figure, peerFigure = figure, atLeast, atMost, what } = wanted
	const own = measured.get(ours).map((run) => run[figure])
	const values = own.map((value, round) => {
		if (peers === undefined) return value
		const others = peers.map((peer) => measured.get(peer)[round][peerFigure])
		if (isRate(figure)) return value / Math.max(...others)
		return atMost === undefined ? Math.min(...others) / value : value / Math.min(...others)
	})
	const found = summary(values)
	return {
		ours,
		...(peers === undefined ? {} : { peer: label ?? peers.join(', ') }),
		what,
		figure,
		...found,
		...(atLeast === undefined ? {} : { atLeast, met: found.median >= atLeast }),
		...(atMost === undefined ? {} : { atMost, met: found.median <= atMost }),
	}
}

function isRate(figure) {
	return figure.endsWith('PerSecond')
}
