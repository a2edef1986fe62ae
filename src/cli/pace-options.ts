/** Defines the options for the pace of a replay. */
import { parseDuration } from './amounts.ts'
import { type Invocation, type OptionSpec, usage } from './command.ts'

/** The option that sets the playback speed. */
export const SPEED_OPTION: OptionSpec = {
	long: 'speed',
	value: 'FACTOR',
	default: 'max',
	help: 'playback speed: 1 for real time, 10 for ten times as fast, max for as fast as possible',
}

/** The option that limits the silences between records. */
export const GAP_OPTION: OptionSpec = {
	long: 'gap-max',
	value: 'DURATION',
	defaultText: 'silences of an hour or more are skipped',
	help: 'maximum silence between records, such as 5s or 10m; longer silences are shortened to this value',
}

/**
 * Parses the maximum silence between records.
 *
 * @throws {MeshChainError} `INVALID_USAGE`
 */
export function gapOf(invocation: Invocation): { gapMsMax?: number } {
	const text = invocation.text(GAP_OPTION.long)
	return text === undefined ? {} : { gapMsMax: parseDuration(`--${GAP_OPTION.long}`, text) }
}

/**
 * Parses the speed.
 *
 * @throws {MeshChainError} `INVALID_USAGE`
 */
export function speedOf(invocation: Invocation): 'max' | number {
	const text = invocation.text(SPEED_OPTION.long) ?? 'max'
	if (text === 'max') return text
	const speed = Number(text)
	if (/^\d*\.?\d+$/.test(text) && speed > 0) return speed
	throw usage(`--speed must be max or a number greater than 0, such as 1 or 0.5, not ${JSON.stringify(text)}`)
}
