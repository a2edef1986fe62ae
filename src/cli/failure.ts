/** Builds the message for an error that ends a command: one line with its code, and sometimes a hint. */
import { MeshChainError, messageOf } from '../model/errors.ts'
import { type Printable, printed } from './printable.ts'

const HINTS: Readonly<Record<string, string>> = {
	INVALID_USAGE: 'mesh-chain --help lists the commands, mesh-chain COMMAND --help the options of one',
	CHAIN_NOT_FOUND: 'check the path: a service names it in new FileChainAppender(path)',
	CHAIN_EMPTY: 'the service stopped before it wrote a header: start it again',
	NOT_A_CHAIN: 'a chain begins with the bytes 99 aa "mesh-chain"',
}

/** Returns the message for any thrown value. */
export function failureText(error: unknown): Printable {
	const code = error instanceof MeshChainError ? `${error.code}: ` : ''
	return printed`mesh-chain: ${code}${messageOf(error)}\n${hintFor(error)}`
}

function hintFor(error: unknown): Printable | '' {
	if (!(error instanceof MeshChainError)) return ''
	// The error of a stream has no path.
	const hint = error.code === 'CHAIN_NOT_FOUND' && error.path === undefined ? undefined : HINTS[error.code]
	return hint === undefined ? '' : printed`  ${hint}\n`
}
