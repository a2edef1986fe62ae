/** The four answers of a chain as a person reads them, and the exit statuses that they end a command with. */
import type { ChainAnswer } from '../chain/index.ts'
import type { Invocation, OptionSpec } from './command.ts'
import { counted } from './numbers.ts'
import type { Printable } from './printable.ts'
import { type Paint, STATUS, type Style } from './terminal.ts'

export const STRICT_OPTION: OptionSpec = {
	long: 'strict',
	help: 'end with status 3 also where records are lost and the chain explains it',
}

/** The exit status of a command that has read a chain. */
export function statusFor(answer: ChainAnswer, invocation: Invocation): number {
	if (answer === 'not ok') return STATUS.damage
	if (answer === 'cannot be checked') return STATUS.unchecked
	return answer === 'ok, records lost' && invocation.flag('strict') ? STATUS.damage : STATUS.fine
}

const STYLES: Readonly<Record<ChainAnswer, Style>> = {
	ok: 'green',
	'ok, records lost': 'yellow',
	'cannot be checked': 'yellow',
	'not ok': 'red',
}

/** The answer, with the number of lost records in its place. */
export function answerText(
	{ answer, recordsLost }: { readonly answer: ChainAnswer; readonly recordsLost: number },
	paint: Paint,
): Printable {
	const text = answer === 'ok, records lost' ? `ok, ${counted(recordsLost, 'record')} lost` : answer
	return paint(STYLES[answer], text)
}
