/** The four answers about a chain, as text and as exit statuses. */
import type { ChainAnswer } from '../chain/index.ts'
import { counted } from '../text/numbers.ts'
import type { Invocation, OptionSpec } from './command.ts'
import { STATUS } from './exit-status.ts'
import type { Printable } from './printable.ts'
import type { Paint, Style } from './terminal.ts'

/** The option that makes explained losses a status of their own. */
export const STRICT_OPTION: OptionSpec = {
	long: 'strict',
	help: 'exit with status 3 also where the chain explains lost records',
}

/** The exit status of a command that read a chain, and found this answer. */
export function statusFor(answer: ChainAnswer, invocation: Invocation): number {
	if (answer === 'not ok') return STATUS.notOk
	if (answer === 'cannot be checked') return STATUS.unchecked
	return answer === 'ok, records lost' && invocation.flag('strict') ? STATUS.notOk : STATUS.ok
}

/** What the statuses of `verify` and `repair` mean. */
export const CHECK_STATUSES = {
	ok: 'ok; also where the chain explains which records are lost',
	notOk: 'not ok: damaged, incomplete or changed; with --strict, also where records are lost',
	unchecked: 'cannot be checked: a repair or retention removed what the check needs',
	failed: 'the chain cannot be read or written, or stdout cannot be written',
}

const STYLES: Readonly<Record<ChainAnswer, Style>> = {
	ok: 'green',
	'ok, records lost': 'yellow',
	'cannot be checked': 'yellow',
	'not ok': 'red',
}

/** The answer with the number of lost records in it. */
export function answerText(
	{ answer, recordsLost }: { readonly answer: ChainAnswer; readonly recordsLost: number },
	paint: Paint,
): Printable {
	const text = answer === 'ok, records lost' ? `ok, ${counted(recordsLost, 'record')} lost` : answer
	return paint(STYLES[answer], text)
}
