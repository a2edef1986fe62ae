/** Medians with their spread. A ratio is taken within a round, where both sides met the same weather. */

/** Median, least and greatest of some figures; `spread` is their distance as a part of the median. */
export function summary(figures) {
	const sorted = figures.toSorted((a, b) => a - b)
	const half = sorted.length >> 1
	const median = sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
	const [min, max] = [sorted[0], sorted.at(-1)]
	return { median, min, max, spread: (max - min) / median }
}

/** Ours to the fastest of the peers, or to the smallest file, by round. */
export function ratio({ ours, peers, label, atLeast, bytesAtMost }, measured) {
	const byRound = measured.get(ours).map((own, round) => {
		const others = peers.map((peer) => measured.get(peer)[round])
		if (bytesAtMost !== undefined) return own.bytes / Math.min(...others.map((other) => other.bytes))
		return Math.min(...others.map((other) => other.elapsedMs)) / own.elapsedMs
	})
	const found = summary(byRound)
	return {
		ours,
		peer: label ?? peers.join(', '),
		of: bytesAtMost === undefined ? 'records per second' : 'bytes per record',
		...found,
		...(atLeast === undefined ? {} : { atLeast, met: found.median >= atLeast }),
		...(bytesAtMost === undefined ? {} : { bytesAtMost, met: found.median <= bytesAtMost }),
	}
}
