/**
 * Collects the findings of a verification, and computes its answer.
 *
 * Invariant: memory use does not grow with the number of findings, because a damaged or forged file can have
 * any number of them. Every finding affects the answer and is counted in the totals. Only the first
 * {@link LISTED_MAX} findings of each kind and severity are listed.
 */
import { answerFor, heavier, isOk, type Severity } from '../answer.ts'
import type { VerifyFinding, VerifyFindingKind, VerifyReport } from '../chain.ts'

/** The default severity of each kind. */
const SEVERITIES: Readonly<Record<VerifyFindingKind, Severity>> = {
	tornTail: 'note',
	unsynced: 'note',
	notClosed: 'note',
	damaged: 'damage',
	ambiguous: 'damage',
	truncated: 'damage',
	missing: 'damage',
	missingFile: 'damage',
	headMissing: 'damage',
	brokenLink: 'damage',
	wrongSeq: 'damage',
	wrongAnchor: 'damage',
	gap: 'loss',
	superseded: 'note',
	stray: 'loss',
	repaired: 'note',
}

/** Kinds of findings that only a person can judge, so a repair does not fix them. */
export const EVIDENCE: readonly VerifyFindingKind[] = ['brokenLink', 'wrongSeq', 'wrongAnchor', 'headMissing']

export interface SeqRange {
	readonly fromSeq: number
	readonly toSeq: number
}

/** Maximum number of listed findings of one kind and severity. Further findings are only counted. */
const LISTED_MAX = 1000
/** Maximum length of a message. The message of a `$gap` can be as long as a frame. */
const MESSAGE_CHARACTERS_MAX = 1000

/** A finding with only the fields that apply. */
export interface Found {
	readonly path: string
	readonly offset: number
	readonly bytes?: number
	readonly severity?: Severity
	readonly range?: SeqRange | undefined
	readonly expected?: string
	readonly found?: string
	/** Path of the previous file, if the finding concerns the seam between the two files. */
	readonly pathBefore?: string
}

export type CountByKind = Partial<Record<VerifyFindingKind, number>>

/** The first findings of each kind and severity. */
export class ListedFindings {
	readonly all: VerifyFinding[] = []
	/** Number of listed findings, by kind and severity. */
	readonly #listed = new Map<string, number>()
	readonly notListed: CountByKind = {}

	add(finding: VerifyFinding): void {
		const { kind, severity } = finding
		const key = `${kind} ${severity}`
		const listed = this.#listed.get(key) ?? 0
		if (listed === LISTED_MAX) {
			this.notListed[kind] = (this.notListed[kind] ?? 0) + 1
			return
		}
		this.#listed.set(key, listed + 1)
		this.all.push(finding)
	}
}

/** Called with every finding, whether or not it is listed. */
export type OnFinding = (finding: VerifyFinding, pathBefore: string | undefined) => void

export class Findings {
	readonly #listed = new ListedFindings()
	readonly #kinds = new Set<VerifyFindingKind>()
	readonly #onFinding: OnFinding | undefined
	#heaviest: Severity = 'note'
	#recordsLost = 0

	constructor(onFinding?: OnFinding) {
		this.#onFinding = onFinding
	}

	add(kind: VerifyFindingKind, text: string, at: Found): void {
		const { path, offset, bytes = 0, severity = SEVERITIES[kind], range, expected, found } = at
		const compared = expected === undefined || found === undefined ? {} : { expected, found }
		const { fromSeq, toSeq } = range ?? {}
		const message = shortened(text)
		const finding = { kind, severity, path, offset, bytes, fromSeq, toSeq, message, ...compared }
		this.#kinds.add(kind)
		this.#heaviest = heavier(this.#heaviest, severity)
		if (severity === 'loss') this.#recordsLost += recordsOf(finding)
		this.#listed.add(finding)
		this.#onFinding?.(finding, at.pathBefore)
	}

	hasAny(kinds: readonly VerifyFindingKind[]): boolean {
		return kinds.some((kind) => this.#kinds.has(kind))
	}

	/** The listed findings, and the answer and totals, which cover all findings. */
	get result(): Pick<VerifyReport, 'ok' | 'answer' | 'recordsLost' | 'findings' | 'findingsNotListed'> {
		const answer = answerFor([this.#heaviest])
		const { all: findings, notListed: findingsNotListed } = this.#listed
		return { ok: isOk(answer), answer, recordsLost: this.#recordsLost, findings, findingsNotListed }
	}
}

/** Returns the number of records that a finding covers. */
function recordsOf({ fromSeq, toSeq }: VerifyFinding): number {
	return fromSeq === undefined || toSeq === undefined ? 0 : Math.max(0, toSeq - fromSeq + 1)
}

/** Shortens a string that is too long. The result is a copy, so that the long string can be freed. */
function shortened(text: string): string {
	if (text.length <= MESSAGE_CHARACTERS_MAX) return text
	return `${Buffer.from(text.slice(0, MESSAGE_CHARACTERS_MAX)).toString()}…`
}
