/** Reads the options of `mesh-chain record` that concern the chain: its files and its durability. */

import type { FileChainOptions } from '../../chain/index.ts'
import { show } from '../../guard/show.ts'
import { TIMER_MS_MAX } from '../../platform/time-limits.ts'
import { parseBounds } from '../amounts.ts'
import { type Invocation, type OptionSpec, usage } from '../command.ts'

/** Smallest bound on a file, and therefore on a chain, in bytes. */
const FILE_BYTES_MIN = 4096

export const CHAIN_OPTIONS: readonly OptionSpec[] = [
	{
		long: 'rotate',
		value: 'BOUNDS',
		multiple: true,
		defaultText: 'never, or a quarter of --retain',
		help: 'size, age or number of records at which a new file begins: 64MiB, 1d or 1000000records',
	},
	{
		long: 'retain',
		value: 'BOUNDS',
		multiple: true,
		defaultText: 'everything is kept',
		help: 'size, age or number of records of the chain: 1GiB, 7d or 1000000records',
	},
	{
		long: 'durability',
		value: 'WHEN',
		multiple: true,
		defaultText: 'os',
		help: 'os, disk (sync before output is passed on), or bounds on what is not synced, such as 1s,1MiB',
	},
]

/**
 * Returns the options for the appender of the chain.
 *
 * @throws {MeshChainError} `INVALID_USAGE`
 */
export function chainOptionsOf(invocation: Invocation): FileChainOptions {
	const rotate = parseBounds('--rotate', invocation.texts('rotate'), FILE_BYTES_MIN)
	const retain = parseBounds('--retain', invocation.texts('retain'), FILE_BYTES_MIN)
	if (rotate.bytes !== undefined && retain.bytes !== undefined && rotate.bytes > retain.bytes)
		throw usage('--rotate must be at most --retain, because the live file is never removed')
	return {
		rotateBytes: rotate.bytes,
		rotateRecords: rotate.records,
		rotateAgeMs: rotate.ageMs,
		retain,
		durability: durabilityOf(invocation.texts('durability')),
	}
}

function durabilityOf(texts: readonly string[]): FileChainOptions['durability'] {
	const [first, ...more] = texts
	if (first === undefined) return undefined
	if (more.length === 0 && (first === 'os' || first === 'disk')) return first
	if (texts.some((text) => !/^\s*\d/.test(text)))
		throw usage(
			'--durability must be os, disk, or bounds such as 1s, 1MiB or 1000records, ' +
				`not ${texts.map((text) => show(text)).join(' and ')}`,
		)
	const { bytes, records, ageMs } = parseBounds('--durability', texts, 1)
	if (ageMs !== undefined && ageMs > TIMER_MS_MAX)
		throw usage(`--durability must be at most 24d, not ${show(texts.join(','))}`)
	return {
		...(bytes === undefined ? {} : { everyBytes: bytes }),
		...(records === undefined ? {} : { everyRecords: records }),
		...(ageMs === undefined ? {} : { everyMs: ageMs }),
	}
}
