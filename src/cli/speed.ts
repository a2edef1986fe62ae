/** `--speed`: how fast a replay goes. */
import { type Invocation, type OptionSpec, usage } from './command.ts'
import { parseDuration } from './times.ts'

export const SPEED_OPTION: OptionSpec = {
	long: 'speed',
	value: 'FACTOR',
	help: '1 is real time, 10 ten times as fast, max as fast as the target takes it, which it is unless told',
}

export const GAP_OPTION: OptionSpec = {
	long: 'gap-max',
	value: 'DURATION',
	help: 'wait no longer than this for the next record: 5s, 10m; default: silences of less than an hour',
}

/** @throws {MeshChainError} `INVALID_USAGE` */
export function gapOf(invocation: Invocation): { gapMsMax?: number } {
	const text = invocation.text(GAP_OPTION.long)
	return text === undefined ? {} : { gapMsMax: parseDuration(`--${GAP_OPTION.long}`, text) }
}

/** @throws {MeshChainError} `INVALID_USAGE` */
export function speedOf(invocation: Invocation): 'max' | number {
	const text = invocation.text('speed') ?? 'max'
	if (text === 'max') return text
	const speed = Number(text)
	if (/^\d*\.?\d+$/.test(text) && speed > 0) return speed
	throw usage(`--speed takes max or a number above 0, such as 1 or 0.5, not ${JSON.stringify(text)}`)
}
