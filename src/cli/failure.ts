/**
 * Builds the message for an error that ends a command: a line with the error code, followed by a hint for
 * some codes.
 */
import { MeshChainError, messageOf } from '../model/errors.ts'
import { type Printable, printed } from './printable.ts'

const HINTS: Readonly<Record<string, string>> = {
	INVALID_USAGE:
		'run mesh-chain --help for the commands, or mesh-chain COMMAND --help for the options of a command',
	CHAIN_NOT_FOUND: 'check the path: it must be the path that the service passes to FileChainAppender',
	CHAIN_EMPTY: 'the service stopped before it wrote a header: restart the service',
	NOT_A_CHAIN: 'a chain file starts with the bytes 99 aa "mesh-chain"',
}

/** Returns the message for any thrown value. */
export function failureText(error: unknown): Printable {
	const code = error instanceof MeshChainError ? `${error.code}: ` : ''
	return printed`mesh-chain: ${code}${messageOf(error)}\n${hintFor(error)}`
}

function hintFor(error: unknown): Printable | '' {
	if (!(error instanceof MeshChainError)) return ''
	// An error about a stream has no path, so the hint does not apply.
	const hint = error.code === 'CHAIN_NOT_FOUND' && error.path === undefined ? undefined : HINTS[error.code]
	return hint === undefined ? '' : printed`  ${hint}\n`
}
