/** What a verification has found so far. */
import type { Finding, FindingKind } from '../chain.ts'

type Severity = Finding['severity']

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
}
