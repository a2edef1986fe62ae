/** Sizes of tests for `npm test` and for `npm run test:soak`, and their reports. */
import { appendFileSync } from 'node:fs'
import sizes from './sizes.json' with { type: 'json' }

/** Returns the size of a test: its variable `MESH_CHAIN_<name>`, or the size for `npm test`. */
export function sizeOf(name: keyof typeof sizes): number {
	return Number(process.env[`MESH_CHAIN_${name}`] ?? sizes[name].test)
}

/** Seed of a random test; `MESH_CHAIN_SEED` repeats a run. */
export const SEED = Number(process.env['MESH_CHAIN_SEED'] ?? Date.now() % 1_000_000)

/** Reports what was done and found: as a line of output, and for the table of `npm run test:soak`. */
export function tellCounts(
	row: number,
	test: string,
	counts: Readonly<Record<string, number | string>>,
): void {
	const text = Object.entries(counts)
		.map(([name, value]) => `${name} ${typeof value === 'number' ? value.toLocaleString('en-US') : value}`)
		.join(', ')
	process.stdout.write(`row ${row}, ${test}: ${text}\n`)
	const file = process.env['MESH_CHAIN_COUNTS']
	if (file !== undefined) appendFileSync(file, `${JSON.stringify({ row, test, text })}\n`)
}

/**
 * Returns a small generator with a seed, so that failures are reproducible (mulberry32, by Tommy Ettinger).
 */
export function randomFrom(seed: number): () => number {
	let state = seed
	return () => {
		state = (state + 0x6d2b79f5) | 0
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
	}
}
