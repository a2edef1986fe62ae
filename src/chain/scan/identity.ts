/** Determines the chain and the segment of a file from its first bytes, without I/O. */
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
	/** Number of this file in the chain, from 0. */
	readonly segment: number
	/** Seed of all checksums in this file. */
	readonly idChecksum: number
	/** Creation time of the file; undefined if the header cannot be read. */
	readonly createdMs: number | undefined
	/** Seq of the first record in this file. */
	readonly firstSeq: number
	/**
	 * Offset up to which the previous file belongs to the chain, and the link of that file up to that offset.
	 * Undefined if the header cannot be read.
	 */
	readonly previous: { readonly end: number; readonly link: Uint8Array } | undefined
	/** Whether the header is damaged. If so, the identity comes from an anchor. */
	readonly headerDamaged: boolean
	/** The header as stored in the file. The first link covers these bytes. */
	readonly headerBytes: Buffer
}

/**
 * @param bytes First bytes of the file: at least a header and an anchor, if the file is that long.
 * @param more Returns a longer beginning of the file. Called if neither a header nor an anchor can be read
 * from `bytes`.
 * @throws {MeshChainError} `CHAIN_EMPTY` if the file is empty or contains only part of a header, or
 * `NOT_A_CHAIN`, `HEADER_DAMAGED` or `NEWER_VERSION`.
 */
export function identify(bytes: Buffer, path: string, more: () => Buffer = () => bytes): ChainIdentity {
	const headerBytes = Buffer.from(bytes.subarray(0, HEADER_BYTES))
	const reading = readHeader(headerBytes, path)
	if (reading.kind === 'header') return identityOf(reading.header, headerBytes)
	if (reading.kind === 'prefix') {
		throw new MeshChainError(
			'CHAIN_EMPTY',
			`${show(path)} contains ${bytes.length === 0 ? 'nothing' : 'only the beginning of a header'}: ` +
				'its writer did not finish creating it',
			{ path },
		)
	}
	const found = fromFirstAnchor(bytes, headerBytes) ?? fromFirstAnchor(more(), headerBytes)
	if (found !== undefined) return found
	if (reading.kind === 'damaged') {
		throw new MeshChainError(
			'HEADER_DAMAGED',
			`${show(path)} begins like a chain, but neither its header nor an anchor after it can be read`,
			{ path, offset: 0 },
		)
	}
	throw new MeshChainError('NOT_A_CHAIN', `${show(path)} is not a mesh-chain file; it was not changed`, {
		path,
	})
}

/** Derives the identity of a file with a damaged header from its first valid anchor. */
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

/** The fields of a header. If the header is damaged, only some of them are known. */
type KnownHeader = Pick<Header, 'chainId' | 'segment' | 'firstSeq'> &
	Partial<Pick<Header, 'previousEnd' | 'previousLink'>> & { readonly createdMs: number | undefined }

/** Returns the identity of a file with this header. */
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

/** The previous link in the first file of a chain. */
export const NO_LINK = new Uint8Array(32)

/** Returns the link that the first anchor of a file uses as its previous link. */
export function headerLink({ headerBytes }: Pick<ChainIdentity, 'headerBytes'>): Uint8Array {
	return createHash('sha256').update(headerBytes).digest()
}
