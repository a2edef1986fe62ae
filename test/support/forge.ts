/** Changes a record and works the checksums out again: what an attacker without the later links can do. */
import { checksum, entrySeed } from '../../src/chain/format/checksum.ts'
import { claimedLength, looksLikeFrame } from '../../src/chain/format/frame.ts'

export function forgeMessage(chain: Buffer, from: string, to: string): Buffer {
	const forged = Buffer.from(chain)
	const at = forged.indexOf(from)
	forged.write(to, at)
	const id = forged.subarray(15, 31)
	for (let pos = 0; pos < at; pos++) {
		if (!looksLikeFrame(forged, pos)) continue
		const length = claimedLength(forged, pos) ?? 0
		if (pos + length <= at) continue
		const seed = entrySeed(checksum(id, 0, id.length, 0), pos, length)
		forged.writeUInt32BE(checksum(forged, pos + 11, pos + length, seed), pos + 7)
	}
	return forged
}
