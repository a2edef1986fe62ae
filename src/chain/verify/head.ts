/** Formats the head of a chain (its newest link) as a string without spaces, and parses that string. */
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'

/** A head to search for. */
export interface WantedHead {
	readonly chainId: string
	readonly seq: number
	readonly link: string
}

/** Formats a head as a string without spaces, to be stored elsewhere. */
export function formatHead({ chainId, seq, link }: WantedHead): string {
	return `${chainId}:${seq}:${link}`
}

/**
 * Parses a head.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function parseHead(text: string): WantedHead {
	const [, chainId, seq, link] = /^([0-9a-f]{32}):(\d{1,16}):([0-9a-f]{64})$/.exec(text) ?? []
	if (chainId === undefined || seq === undefined || link === undefined) {
		throw new MeshChainError(
			'INVALID_OPTION',
			`a head has the form CHAIN:SEQ:LINK, as mesh-chain info --head prints it, not ${show(text)}`,
		)
	}
	return { chainId, seq: Number(seq), link }
}
