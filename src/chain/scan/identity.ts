/** Tells which file of which chain the first bytes of a file belong to. No I/O. */
import { createHash } from 'node:crypto'
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { anchorIdentity, findAnchorLead } from '../format/anchor.ts'
import { identityChecksum } from '../format/checksum.ts'
import { HEADER_BYTES, type Header, readHeader } from '../format/header.ts'
import { firstCovered } from './frame-rows.ts'
import { Scanner } from './scan.ts'

export interface ChainIdentity {
	readonly id: Uint8Array
	readonly idHex: string
	/** Which file of the chain this is, from 0. */
	readonly segment: number
	/** What the checksums in this file start from. */
	readonly idChecksum: number
	/** When the file was begun; undefined where the header cannot be read. */
	readonly createdMs: number | undefined
	/** The seq of the first record in this file. */
	readonly firstSeq: number
	/** How far the previous file counts, and its link there; undefined where the header cannot be read. */
	readonly previous: { readonly end: number; readonly link: Uint8Array } | undefined
	/** The header does not verify; the first anchor gave the identity. */
	readonly headerDamaged: boolean
	/** The bytes that the first link covers. */
	readonly headerBytes: Buffer
}

/**
 * @param bytes the first bytes of the file, at least a header and an anchor where it has them.
 * @param more more of them, asked for when neither of the two can be read.
 * @throws {MeshChainError} `CHAIN_EMPTY` for an empty file or part of a header, `NOT_A_CHAIN`,
 * `HEADER_DAMAGED`, `NEWER_VERSION`.
 */
export function identify(bytes: Buffer, path: string, more: () => Buffer = () => bytes): ChainIdentity {
	const headerBytes = Buffer.from(bytes.subarray(0, HEADER_BYTES))
	const reading = readHeader(headerBytes, path)
	if (reading.kind === 'header') return identityOf(reading.header, headerBytes)
	if (reading.kind === 'prefix') {
		throw new MeshChainError(
			'CHAIN_EMPTY',
			`${show(path)} holds ${bytes.length === 0 ? 'nothing' : 'only the beginning of a header'}: no writer has finished creating it`,
			{ path },
		)
	}
	const found = fromFirstAnchor(bytes, headerBytes) ?? fromFirstAnchor(more(), headerBytes)
	if (found !== undefined) return found
	if (reading.kind === 'damaged') {
		throw new MeshChainError(
			'HEADER_DAMAGED',
			`${show(path)} begins as a chain does, but neither its header nor an anchor near it can be read`,
			{ path, offset: 0 },
		)
	}
	throw new MeshChainError('NOT_A_CHAIN', `${show(path)} is not a mesh-chain file; it is left as it is`, {
		path,
	})
}

/** Where the header is damaged, the anchors say the identity of the file, too. */
function fromFirstAnchor(bytes: Buffer, headerBytes: Buffer): ChainIdentity | undefined {
	let at = findAnchorLead(bytes, HEADER_BYTES)
	for (; at >= 0; at = findAnchorLead(bytes, at + 1)) {
		const found = anchorIdentity(bytes, at, at)
		if (found === undefined) continue
		const { chainId, segment } = found
		const firstSeq = segment === 0 ? 1 : firstSeqIn(bytes, chainId, segment)
		const known = { chainId, segment, createdMs: undefined, firstSeq }
		return { ...identityOf(known, headerBytes), headerDamaged: true, previous: undefined }
	}
	return undefined
}

function firstSeqIn(bytes: Buffer, chainId: Uint8Array, segment: number): number {
	const scanner = new Scanner(identityChecksum(chainId, segment), HEADER_BYTES)
	scanner.push(bytes.subarray(HEADER_BYTES))
	scanner.end()
	for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
		if (step.type === 'frame') return firstCovered(step.frame)
		if (step.type === 'anchor') return step.anchor.nextSeq
	}
	return 1
}

/** What is known of a header, which may be damaged. */
type KnownHeader = Pick<Header, 'chainId' | 'segment' | 'firstSeq'> &
	Partial<Pick<Header, 'previousEnd' | 'previousLink'>> & { readonly createdMs: number | undefined }

/** The identity of a file that begins with this header. */
export function identityOf(header: KnownHeader, headerBytes: Buffer): ChainIdentity {
	const { chainId: id, segment, createdMs, firstSeq, previousEnd = 0, previousLink = NO_LINK } = header
	return {
		id,
		idHex: Buffer.from(id).toString('hex'),
		segment,
		idChecksum: identityChecksum(id, segment),
		createdMs,
		firstSeq,
		previous: { end: previousEnd, link: previousLink },
		headerDamaged: false,
		headerBytes,
	}
}

/** The link of the first file of a chain, which follows nothing. */
export const NO_LINK = new Uint8Array(32)

/** The link before the first anchor of a file. */
export function headerLink({ headerBytes }: Pick<ChainIdentity, 'headerBytes'>): Uint8Array {
	return createHash('sha256').update(headerBytes).digest()
}
