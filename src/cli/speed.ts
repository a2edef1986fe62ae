/** `--speed`: how fast a replay goes. */
import { type Invocation, type OptionSpec, usage } from './command.ts'

export const SPEED_OPTION: OptionSpec = {
	long: 'speed',
	value: 'FACTOR',
	help: '1 is real time, 10 ten times as fast, max as fast as the target takes it, which it is unless told',
}

/** @throws {MeshChainError} `INVALID_USAGE` */
export function speedOf(invocation: Invocation): 'max' | number {
	const text = invocation.text('speed') ?? 'max'
	if (text === 'max') return text
	const speed = Number(text)
	if (/^\d*\.?\d+$/.test(text) && speed > 0) return speed
	throw usage(`--speed takes max or a number above 0, such as 1 or 0.5, not ${JSON.stringify(text)}`)
}
