/** Maps the four answers about a chain to output and exit statuses. */
import type { ChainAnswer, ChainHead } from '../chain/index.ts'
import type { Paint, Style } from '../pretty/paint.ts'
import { counted } from '../text/numbers.ts'
import type { Invocation, OptionSpec } from './command.ts'
import { STATUS } from './exit-status.ts'
import type { Printable } from './printable.ts'

/** The option that makes lost records an error, even if the chain accounts for them. */
export const STRICT_OPTION: OptionSpec = {
	long: 'strict',
	help: 'exit with status 3 if records are lost, even if the chain accounts for them',
}

/** Returns the exit status that corresponds to the answer about a chain. */
export function statusFor(answer: ChainAnswer, invocation: Invocation): number {
	if (answer === 'not ok') return STATUS.notOk
	if (answer === 'cannot be checked') return STATUS.unchecked
	return answer === 'ok, records lost' && invocation.flag('strict') ? STATUS.notOk : STATUS.ok
}

/** The exit statuses of `verify` and `repair`. */
export const CHECK_STATUSES = {
	ok: 'ok; lost records that the chain accounts for are not errors',
	notOk: 'not ok: the chain is damaged, incomplete or changed, or records are lost (with --strict)',
	unchecked: 'cannot be checked: a repair or retention removed data that the check needs',
	failed: 'the chain cannot be read or written, or stdout cannot be written',
}

const STYLES: Readonly<Record<ChainAnswer, Style>> = {
	ok: 'green',
	'ok, records lost': 'yellow',
	'cannot be checked': 'yellow',
	'not ok': 'red',
}

/** Formats the answer, including the number of lost records. */
export function answerText(
	{ answer, recordsLost }: { readonly answer: ChainAnswer; readonly recordsLost: number },
	paint: Paint,
): Printable {
	const text = answer === 'ok, records lost' ? `ok, ${counted(recordsLost, 'record')} lost` : answer
	return paint(STYLES[answer], text)
}

/** Formats a head, including the records that it covers. */
export function headText({ link, seq }: Pick<ChainHead, 'link' | 'seq'>): string {
	if (seq === 0)
		return 'none yet: the first hash link follows after about 64 KiB, or when the chain is closed'
	return `${link} (hash links cover the records up to seq ${seq})`
}
