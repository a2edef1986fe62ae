/** What `verify` and `repair` say of a finding, and which command comes next. */
import { EVIDENCE, type Severity, type VerifyFinding, type VerifyReport } from '../chain/index.ts'
import { shellWord } from '../text/shell-word.ts'
import { count } from './numbers.ts'
import { linesOf, type Printable, printablePath, printed } from './printable.ts'
import type { Output, Paint, Style } from './terminal.ts'

const LINES_AT_ONCE = 100

const SEVERITY_STYLES: Readonly<Record<Severity, Style>> = {
	note: 'dim',
	loss: 'yellow',
	unchecked: 'yellow',
	damage: 'red',
}

export function findingLine(finding: VerifyFinding, paint: Paint): Printable {
	const { kind, severity, path, offset, bytes, fromSeq, toSeq, message, expected, found } = finding
	const range = fromSeq === undefined ? '' : `, seq ${fromSeq} to ${toSeq}`
	const length = bytes === 0 ? '' : `, ${count(bytes)} bytes`
	const compared = expected === undefined ? '' : `; expected ${expected}, found ${found}`
	const head = paint(SEVERITY_STYLES[severity], severity)
	return printed`${head} in ${printablePath(path)} at offset ${count(offset)}${length}${range} [${kind}]: ${message}${compared}`
}

/** How many findings no line is written for. */
export function notListedLines(notListed: VerifyReport['findingsNotListed'], what: string): Printable[] {
	return Object.entries(notListed).map(
		([kind, more]) => printed`${count(more)} more ${what} of the kind [${kind}] not listed`,
	)
}

/** Prints lines in pieces, as many as a reader takes at a time. */
export async function printLines(stdout: Output, lines: readonly Printable[]): Promise<void> {
	for (let at = 0; at < lines.length && !stdout.isClosed; at += LINES_AT_ONCE) {
		await stdout.write(linesOf(lines.slice(at, at + LINES_AT_ONCE)))
	}
}

/** What to type next, or to do. */
export function adviceFor(file: string, findings: readonly VerifyFinding[]): string[] {
	const name = shellWord(file)
	const damage = findings.filter(({ severity }) => severity === 'damage')
	if (damage.length === 0) return []
	const isEvidence = ({ kind }: VerifyFinding) => EVIDENCE.includes(kind)
	const lines = [`everything else is readable: mesh-chain dump ${name} shows it, gaps included`]
	if (damage.some((finding) => isEvidence(finding) && finding.kind !== 'headMissing')) {
		lines.push(
			'somebody changed this chain: keep these files as they are, and compare with a copy or a stored head',
		)
	} else if (damage.some(isEvidence)) {
		lines.push('this chain is not what it was when the head was kept: compare it with a copy')
	}
	if (damage.some(({ kind }) => kind === 'missingFile')) {
		lines.push('a file is gone: put it back from a copy; no repair can make it again')
	}
	if (!damage.every((finding) => isEvidence(finding) || finding.kind === 'missingFile')) {
		lines.push(`next: mesh-chain repair --dry-run ${name} says what a repair would do`)
	}
	return lines
}
