/**
 * Compares a chain with a head that was stored elsewhere. That head is the only evidence that cannot be
 * forged by changing the files. Invariant: only an unbroken sequence of links confirms a head. The sequence
 * leads from the anchor with the head's link back to the beginning of the chain, and each link in it was
 * recomputed and is correct. No claim in an anchor or a gap can replace a link.
 *
 * Missing files are accepted only before the first remaining file, and only if the chain records that
 * retention removed them. Nothing proves that this record is true, so the answer is `cannot be checked`,
 * unless the head already covers the removal.
 *
 * If a file is removed during the verification, the sequence of links is broken for every later head, because
 * the files before and after the removed file were not compared. In that case, the answer is
 * `cannot be checked` if retention accounts for the removal, and `not ok` otherwise. It is never `ok`.
 */
import type { Anchor } from '../format/anchor.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import type { Findings } from './findings.ts'
import type { WantedHead } from './head.ts'

interface EntryPosition {
	readonly path: string
	readonly offset: number
}

/** A place where the sequence of links is broken. */
interface Break extends EntryPosition {
	readonly why: 'unlinked' | 'removedByRetention'
}

/** The end of a chain, and the first seq that retention keeps. */
interface EndOfChain extends EntryPosition {
	readonly lastSeq: number
	readonly keptFromSeq: number
}

export class HeadSearch {
	readonly #head: WantedHead | undefined
	readonly #link: Buffer
	#first: ChainIdentity
	#lastBreak: Break | undefined
	#found: { readonly keptFromSeq: number; readonly breakBelow: Break | undefined } | undefined

	constructor(head: WantedHead | undefined, first: ChainIdentity) {
		this.#head = head
		this.#link = Buffer.from(head?.link ?? '', 'hex')
		this.#first = first
	}

	/** Starts with the first file of an unbroken sequence of files. Earlier files are gone. */
	beginWith(first: ChainIdentity): void {
		this.#first = first
		this.#lastBreak = undefined
	}

	/** Notes that no later link covers the part before this position. */
	breakAt(place: EntryPosition): void {
		this.#lastBreak = { ...place, why: 'unlinked' }
	}

	/**
	 * Starts again with this file, because retention removed everything before it during the verification.
	 */
	beginAnewWith(first: ChainIdentity, place: EntryPosition): void {
		this.#first = first
		this.#lastBreak = { ...place, why: 'removedByRetention' }
	}

	look({ link, nextSeq, keptFromSeq }: Anchor): void {
		const head = this.#head
		if (head === undefined || nextSeq !== head.seq + 1 || !this.#link.equals(link)) return
		this.#found = { keptFromSeq, breakBelow: this.#lastBreak }
	}

	report(findings: Findings, end: EndOfChain): void {
		const head = this.#head
		if (head === undefined) return
		if (head.chainId !== this.#first.idHex) {
			const text = 'the given head belongs to another chain'
			const compared = { expected: head.chainId, found: this.#first.idHex }
			findings.add('headMissing', text, { path: end.path, offset: 0, ...compared })
		} else if (this.#found === undefined) this.#reportMissing(findings, head, end)
		else if (this.#found.breakBelow !== undefined) reportBroken(findings, head, this.#found.breakBelow)
		else this.#reportRemoved(findings, head, this.#found.keptFromSeq, end)
	}

	#reportMissing(
		findings: Findings,
		head: WantedHead,
		{ path, offset, lastSeq, keptFromSeq }: EndOfChain,
	): void {
		const { segment, firstSeq } = this.#first
		if (segment > 0 && firstSeq > head.seq && keptFromSeq >= firstSeq) {
			const text =
				`the given head is before seq ${firstSeq}, where this chain now starts: ` +
				'the chain records that retention has removed the part that the head covers'
			findings.add('headMissing', text, { path, offset: 0, severity: 'unchecked' })
			return
		}
		const compared = { expected: `head ${head.link} at seq ${head.seq}`, found: `last seq ${lastSeq}` }
		if (lastSeq < head.seq) {
			const text =
				'the chain ends before the given head: the chain was truncated, or replaced by an older copy'
			findings.add('headMissing', text, {
				path,
				offset,
				range: { fromSeq: lastSeq + 1, toSeq: head.seq },
				...compared,
			})
		} else {
			const text = 'the given head is not in this chain: the part that the head covers was cut or rewritten'
			findings.add('headMissing', text, {
				path,
				offset: 0,
				range: { fromSeq: 1, toSeq: head.seq },
				...compared,
			})
		}
	}

	/**
	 * Reports records that were removed after the head was created. The head covers only earlier removals.
	 */
	#reportRemoved(findings: Findings, head: WantedHead, keptFromSeq: number, end: EndOfChain): void {
		const { segment, firstSeq } = this.#first
		if (segment === 0 || firstSeq <= keptFromSeq) return
		const range = { fromSeq: keptFromSeq, toSeq: Math.min(firstSeq - 1, head.seq) }
		const text =
			end.keptFromSeq >= firstSeq
				? 'these records were in the chain when the head was created; ' +
					'the chain records that retention has removed them since'
				: 'these records are in earlier files, which were not checked'
		findings.add('gap', text, { path: end.path, offset: 0, range, severity: 'unchecked' })
	}
}

function reportBroken(findings: Findings, head: WantedHead, { path, offset, why }: Break): void {
	const range = { fromSeq: 1, toSeq: head.seq }
	if (why === 'removedByRetention') {
		const text =
			'the given head is in the chain, but retention removed earlier files ' +
			'during the verification: verify again'
		findings.add('headMissing', text, { path, offset, range, severity: 'unchecked' })
		return
	}
	const text =
		'the given head is in the chain, but does not cover the part before this position: ' +
		'that part was changed, lost or repaired'
	findings.add('headMissing', text, { path, offset, range })
}
