/**
 * Compares a chain with a head that was kept elsewhere: the only evidence that a change of the files cannot
 * forge. Invariant: a head is confirmed by one unbroken sequence of links, each computed and correct, from
 * the anchor with the head's link back to the beginning of the chain. Nothing else replaces a link, whatever
 * anchors and gaps claim.
 *
 * Only retention excuses missing files, and only files before the first one that is left. Nothing shows
 * whether retention or something else removed them, so the answer is `cannot be checked`, unless the head
 * itself already covered the removal.
 *
 * A file that is removed during the verification breaks the sequence of links for every later head, because
 * the files on both sides of it were not compared. The answer is then `cannot be checked` if retention
 * explains the removal and `not ok` otherwise, never `ok`.
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

/** The end of a chain, with what its newest anchor records about retention. */
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

	/** Begins with the first file of an unbroken sequence of files: earlier files are gone. */
	beginWith(first: ChainIdentity): void {
		this.#first = first
		this.#lastBreak = undefined
	}

	/** Notes that no later link covers what precedes this position. */
	breakAt(place: EntryPosition): void {
		this.#lastBreak = { ...place, why: 'unlinked' }
	}

	/**
	 * Begins again with this file, because retention has removed everything before it during the
	 * verification.
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
			const text = 'this is not the chain whose head was kept'
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
				`the head is before seq ${firstSeq}, where this chain now begins: ` +
				'retention has removed what it covers, as the chain records'
			findings.add('headMissing', text, { path, offset: 0, severity: 'unchecked' })
			return
		}
		const compared = { expected: `head ${head.link} at seq ${head.seq}`, found: `seq ${lastSeq} as the last` }
		if (lastSeq < head.seq) {
			const text =
				'the chain ends before the head that was kept: it was truncated, or replaced by an older copy'
			findings.add('headMissing', text, {
				path,
				offset,
				range: { fromSeq: lastSeq + 1, toSeq: head.seq },
				...compared,
			})
		} else {
			const text = 'the head that was kept is not in this chain: the part that it covers was cut or rewritten'
			findings.add('headMissing', text, {
				path,
				offset: 0,
				range: { fromSeq: 1, toSeq: head.seq },
				...compared,
			})
		}
	}

	/**
	 * The head covers everything that retention had removed until then, and nothing that was removed later.
	 */
	#reportRemoved(findings: Findings, head: WantedHead, keptFromSeq: number, end: EndOfChain): void {
		const { segment, firstSeq } = this.#first
		if (segment === 0 || firstSeq <= keptFromSeq) return
		const range = { fromSeq: keptFromSeq, toSeq: Math.min(firstSeq - 1, head.seq) }
		const text =
			end.keptFromSeq >= firstSeq
				? 'these records were there when the head was kept; ' +
					'retention has removed them since, as the chain records'
				: 'these records are in earlier files, which were not checked'
		findings.add('gap', text, { path: end.path, offset: 0, range, severity: 'unchecked' })
	}
}

function reportBroken(findings: Findings, head: WantedHead, { path, offset, why }: Break): void {
	const range = { fromSeq: 1, toSeq: head.seq }
	if (why === 'removedByRetention') {
		const text =
			'the head that was kept is in the chain, but retention removed files below it ' +
			'during the verification: verify again'
		findings.add('headMissing', text, { path, offset, range, severity: 'unchecked' })
		return
	}
	const text =
		'the head that was kept is in the chain, but does not cover what precedes this place: ' +
		'that part was changed, lost or repaired'
	findings.add('headMissing', text, { path, offset, range })
}
