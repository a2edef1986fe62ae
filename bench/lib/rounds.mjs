/**
 * Runs the contenders alternately, in rounds. Each round starts with a different contender, so that none is
 * always first.
 */
import { check, summary } from './statistics.mjs'

/**
 * @param entries Items to measure: `{ name }` and the fields that `measure` needs.
 * @param measure Called once per round and entry; returns the figures.
 * @returns The figures of each round, by name.
 */
export function rounds(entries, count, progress, measure) {
	const measured = new Map(entries.map(({ name }) => [name, []]))
	for (let round = 0; round < count; round++) {
		for (const entry of rotated(entries, round)) {
			progress(`round ${round + 1} of ${count}, ${entry.name}`)
			measured.get(entry.name).push(measure(entry))
		}
	}
	return measured
}

function rotated(list, by) {
	const at = by % list.length
	return [...list.slice(at), ...list.slice(0, at)]
}

/**
 * Returns the result of all rounds: the figures of each contender, and the checks for the contenders that
 * took part.
 */
export function outcome(measured, checks) {
	return {
		contenders: [...measured].map(([name, runs]) => ({ name, figures: figuresOf(runs) })),
		checks: checks
			.map((wanted) => ({ ...wanted, peers: wanted.peers?.filter((peer) => measured.has(peer)) }))
			.filter(({ ours, peers }) => measured.has(ours) && peers?.length !== 0)
			.map((wanted) => check(wanted, measured)),
	}
}

function figuresOf(runs) {
	const keys = Object.keys(runs[0]).filter((key) => typeof runs[0][key] === 'number')
	return Object.fromEntries(keys.map((key) => [key, summary(runs.map((run) => run[key]))]))
}
