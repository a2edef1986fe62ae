/** What a verification has found so far, and what it comes to. */
import { answerFor, isOk, type Severity } from '../answer.ts'
import type { Finding, FindingKind, VerifyReport } from '../chain.ts'

/** What each kind is, unless told otherwise. */
const SEVERITIES: Readonly<Record<FindingKind, Severity>> = {
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

/** What nobody but a person may judge: a repair leaves it as it is, and the file with it. */
export const EVIDENCE: readonly FindingKind[] = ['brokenLink', 'wrongSeq', 'wrongAnchor', 'headMissing']

export interface SeqRange {
	readonly fromSeq: number
	readonly toSeq: number
}

/** A finding, with only as much as applies. */
export interface Found {
	readonly path: string
	readonly offset: number
	readonly bytes?: number
	readonly severity?: Severity
	readonly range?: SeqRange | undefined
	readonly expected?: string
	readonly found?: string
}

export class Findings {
	readonly all: Finding[] = []

	add(kind: FindingKind, message: string, at: Found): void {
		const { path, offset, bytes = 0, severity = SEVERITIES[kind], range, expected, found } = at
		const compared = expected === undefined || found === undefined ? {} : { expected, found }
		const { fromSeq, toSeq } = range ?? {}
		this.all.push({ kind, severity, path, offset, bytes, fromSeq, toSeq, message, ...compared })
	}

	/** What all findings together come to. */
	get result(): Pick<VerifyReport, 'ok' | 'answer' | 'recordsLost'> {
		const answer = answerFor(this.all.map(({ severity }) => severity))
		const losses = this.all.filter(({ severity }) => severity === 'loss')
		return { ok: isOk(answer), answer, recordsLost: losses.reduce((sum, each) => sum + recordsOf(each), 0) }
	}
}

/** The records that a finding stands for. */
function recordsOf({ fromSeq, toSeq }: Finding): number {
	return fromSeq === undefined || toSeq === undefined ? 0 : Math.max(0, toSeq - fromSeq + 1)
}
