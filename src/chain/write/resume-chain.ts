/**
 * Continues a chain after its newest file: examines the end of that file, gets a decision from recovery.ts,
 * and carries it out. New records are written to the same file or to a new one.
 */
import { dirname } from 'node:path'
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { type Placed, putFirstInPlace, requireSynced } from '../../platform/atomic-file.ts'
import { type OpenFile, syncDirectory } from '../../platform/file-system.ts'
import { shellWord } from '../../text/shell-word.ts'
import { bootSince } from '../files/boot-id.ts'
import { cutAndKeepAside } from '../files/keep-aside.ts'
import { putNextInPlace } from '../files/put-next-in-place.ts'
import { identifyFile } from '../files/segments.ts'
import { readWatermark } from '../files/watermark-file.ts'
import { ANCHOR_BYTES, type AnchorReason } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import type { Watermark } from '../format/watermark.ts'
import { type ChainEnd, epochMaxOf, readChainEnd } from '../scan/chain-end.ts'
import { nextSeqAfter } from '../scan/continuity.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import { firstUnreadable, linkUpTo } from '../scan/scan-range.ts'
import { epochAfter } from './begin-chain.ts'
import { EntryCopier } from './copy-entries.ts'
import { createSegment } from './create-segment.ts'
import { type ChainRecovery, contextOf, type OpenedChain, type OpeningOptions } from './opened-chain.ts'
import { actionFor, type Evidence, type RecoveryVerdict, verdictOf, watermarkEvidence } from './recovery.ts'
import type { SegmentContext } from './segment-context.ts'
import { SegmentFile } from './segment-file.ts'

export class ChainResumption {
	readonly #options: OpeningOptions
	readonly #file: OpenFile
	readonly #size: number
	readonly #identity: ChainIdentity
	readonly #end: ChainEnd
	/** Offset of the first unreadable byte that precedes valid entries, within the searched range. */
	readonly #hole: number | undefined
	readonly #watermark: Watermark | undefined
	readonly #context: SegmentContext

	/** @param file Newest file of the chain. The caller closes it, unless the chain continues in it. */
	constructor(options: OpeningOptions, file: OpenFile) {
		const { system, path } = options
		this.#options = options
		this.#file = file
		this.#size = system.fstatSync(file.fd).size
		this.#identity = identifyFile(file, path)
		this.#end = readChainEnd(file, this.#size, this.#identity)
		this.#watermark = readWatermark(system, path, this.#identity.id)
		// An epoch may be lost together with its records. The watermark records the epoch number. Without a
		// watermark, the number of lost bytes limits how many epochs can be lost.
		const known = this.#watermark?.epoch ?? epochMaxOf(this.#end)
		this.#context = contextOf(options, epochAfter(Math.max(this.#end.epoch, known), path))
		this.#hole = this.#firstHole()
	}

	/** Continues after the live file, according to the recovery tables. */
	inLiveFile(): OpenedChain {
		const { onDamage, path } = this.#options
		const verdict = verdictOf(this.#evidence)
		const action = actionFor({ verdict, writer: this.#writer, onDamage })
		if (action === 'refuse') throw this.#refused(verdict)
		if (action === 'append') return this.#inSameFile(undefined)
		if (action === 'cut') return this.#inSameFile(this.#cut(verdict))
		return this.#inNewFile(verdict, action, path)
	}

	/**
	 * Continues after the last sealed file when the live file is gone. The sealed file is left unchanged,
	 * regardless of how it ends.
	 */
	afterSealedFile(): OpenedChain {
		const verdict = verdictOf(this.#evidence)
		const { onDamage } = this.#options
		if (actionFor({ verdict, writer: 'sole', onDamage }) === 'refuse') throw this.#refused(verdict)
		return this.#inNewFile(verdict, 'next', undefined)
	}

	/**
	 * Returns the offset of the first hole. A power loss can leave holes anywhere after the watermark, even
	 * before the newest anchor. Unless a reboot and a watermark show that such holes are possible, only the
	 * part after that anchor is searched.
	 */
	#firstHole(): number | undefined {
		const { anchor, hole } = this.#end
		const watermark = this.#watermark
		if (this.#boot !== 'changed' || watermark === undefined || anchor === undefined) return hole
		const { segment, idChecksum } = this.#identity
		const from = watermark.segment === segment ? watermark.offset : HEADER_BYTES
		if (watermark.segment > segment || from >= anchor.offset) return hole
		return firstUnreadable(this.#file, idChecksum, { from, to: anchor.offset + ANCHOR_BYTES }) ?? hole
	}

	get #evidence(): Evidence {
		const { end, nextSeq } = this.#end
		const hole = this.#hole
		const { headerDamaged } = this.#identity
		const readableTo = headerDamaged ? 0 : (hole ?? end)
		return {
			end: this.#endEvidence,
			hole: headerDamaged || hole !== undefined,
			watermark: watermarkEvidence(this.#watermark, this.#identity, readableTo, nextSeq),
			boot: this.#boot,
		}
	}

	get #endEvidence(): Evidence['end'] {
		const { suffix } = this.#end
		if (suffix !== undefined) return suffix.torn ? 'fragment' : 'invalid'
		return this.#endsIn('sealed') ? 'sealed' : 'whole'
	}

	#endsIn(reason: AnchorReason): boolean {
		const { anchor, tail, suffix } = this.#end
		return anchor?.reason === reason && tail.length === 0 && suffix === undefined
	}

	/**
	 * Whether this writer is the only one. The previous writer may still be running, unless the kernel, the
	 * last anchor or a reboot shows that it is gone.
	 */
	get #writer(): 'sole' | 'takenOver' {
		const { provenance } = this.#options
		if (provenance === 'kernel') return 'sole'
		// No writer on this machine survives a reboot.
		const isOver = this.#endsIn('closed') || this.#endsIn('sealed') || this.#boot === 'changed'
		return provenance === 'none' && isOver ? 'sole' : 'takenOver'
	}

	get #boot(): Evidence['boot'] {
		return bootSince(this.#end.anchor?.bootId, this.#context.writer.bootId)
	}

	#cut(verdict: RecoveryVerdict): ChainRecovery {
		const { offset, bytes } = this.#end.suffix!
		const keptAt = cutAndKeepAside(this.#options.path, this.#file, offset, bytes)
		return { verdict, action: 'cut', offset, bytes, keptAt, sealedAs: undefined, lostRecords: 0 }
	}

	/**
	 * Continues in the same file. The opening anchor is on disk before any record, so no later opening uses the
	 * same epoch.
	 */
	#inSameFile(recovery: ChainRecovery | undefined): OpenedChain {
		const { system, path } = this.#options
		const start = { ...this.#end, keptFromSeq: this.#keptFromSeq }
		const file = new SegmentFile(this.#context, this.#file, this.#identity, start)
		file.tail.anchor('opened', recovery?.bytes ?? 0)
		file.write()
		// A writer that was killed while creating this file may not have synced its directory entry.
		syncDirectory(system, dirname(path))
		file.syncNow()
		return this.#opened(file, recovery)
	}

	/** @param livePath Path of the old file; undefined if it already has its sealed name. */
	#inNewFile(verdict: RecoveryVerdict, action: 'next' | 'move', livePath: string | undefined): OpenedChain {
		const identity = this.#identity
		const cutAt = action === 'move' ? this.#hole! : this.#size
		// After a move, only the part of the old file before the hole belongs to the chain.
		const base = action === 'move' ? readChainEnd(this.#file, cutAt, identity) : this.#end
		const known = Math.max(this.#nextSeqAfterEnd(verdict), this.#nextSeqByWatermark)
		const nextSeq = Math.max(base.nextSeq, action === 'move' ? 1 : known)
		const start = {
			chainId: identity.id,
			segment: identity.segment + 1,
			firstSeq: nextSeq,
			previousEnd: cutAt,
			previousLink: linkUpTo(this.#file, cutAt, identity, base.anchor),
			levelCounts: base.levelCounts,
			keptFromSeq: this.#keptFromSeq,
		}
		let lostRecords = Math.max(0, nextSeq - base.nextSeq)
		const { file, placed } = createSegment(this.#context, this.#options, start, {
			fill: (next) => {
				if (action === 'move') lostRecords = this.#copyFrom(cutAt, base, known, next)
				next.tail.anchor('opened', 0)
			},
			putInPlace: (temporary) => this.#putInPlace(temporary, livePath),
		})
		const offset = this.#hole ?? this.#end.end
		const bytes = this.#size - offset
		const { sealedAs } = placed
		return this.#opened(file, { verdict, action, offset, bytes, keptAt: undefined, sealedAs, lostRecords })
	}

	#opened(file: SegmentFile, recovery: ChainRecovery | undefined): OpenedChain {
		return { file, context: this.#context, watermark: this.#watermark, recovery }
	}

	get #keptFromSeq(): number {
		return this.#end.anchor?.keptFromSeq ?? 1
	}

	get #nextSeqByWatermark(): number {
		const watermark = this.#watermark
		return watermark !== undefined && watermark.segment >= this.#identity.segment ? watermark.seq + 1 : 1
	}

	/**
	 * Returns the first seq after all records that the end of the file may have contained. A torn or unsynced
	 * end contained no record that was acknowledged as on disk.
	 */
	#nextSeqAfterEnd(verdict: RecoveryVerdict): number {
		const { suffix, nextSeq } = this.#end
		const isLost = suffix !== undefined && ['damaged', 'ambiguous'].includes(verdict)
		return isLost ? nextSeqAfter(suffix, nextSeq) : nextSeq
	}

	/** Copies every entry that verifies, starting at offset `from`. Returns the number of lost records. */
	#copyFrom(from: number, base: ChainEnd, nextSeqMin: number, target: SegmentFile): number {
		target.tail.anchor('span', 0, base.anchor)
		const copier = new EntryCopier(target, 'unsynced')
		copier.fromFile(this.#file, this.#identity.idChecksum, { from, to: this.#size })
		copier.upTo(nextSeqMin)
		return copier.lost
	}

	#putInPlace(
		temporary: string,
		livePath: string | undefined,
	): Placed & { readonly sealedAs: string | undefined } {
		const { system, path } = this.#options
		if (livePath === undefined) {
			return { ...requireSynced(putFirstInPlace(system, temporary, path)), sealedAs: undefined }
		}
		const placed = requireSynced(putNextInPlace(system, temporary, livePath, this.#identity.firstSeq))
		return { ...placed, sealedAs: placed.sealedPath }
	}

	#refused(verdict: RecoveryVerdict): MeshChainError {
		const { path } = this.#options
		const offset = this.#hole ?? this.#end.end
		return new MeshChainError(
			'CHAIN_DAMAGED',
			`${show(path)} is ${verdict} from offset ${offset} on, and onDamage is 'refuse': ` +
				`nothing was changed; next: mesh-chain verify ${shellWord(path)}`,
			{ path, offset, seq: this.#end.nextSeq },
		)
	}
}
