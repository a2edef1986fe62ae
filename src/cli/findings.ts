/** Formats the findings of `verify` and `repair`, and advice on what to do next. */
import { EVIDENCE, type Severity, type VerifyFinding, type VerifyReport } from '../chain/index.ts'
import type { Paint, Style } from '../pretty/paint.ts'
import { count, counted } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { linesOf, type Printable, printablePath, printed } from './printable.ts'
import type { Output } from './terminal.ts'

const LINES_AT_ONCE = 100

const SEVERITY_STYLES: Readonly<Record<Severity, Style>> = {
	note: 'dim',
	loss: 'yellow',
	unchecked: 'yellow',
	damage: 'red',
}

/** Formats a finding on one line, with its severity, position, kind and message. */
export function findingLine(finding: VerifyFinding, paint: Paint): Printable {
	const { kind, severity, path, offset, bytes, fromSeq, toSeq, message, expected, found } = finding
	const range = fromSeq === undefined ? '' : `, seq ${fromSeq} to ${toSeq}`
	const length = bytes === 0 ? '' : `, ${counted(bytes, 'byte')}`
	const compared = expected === undefined ? '' : `; expected ${expected}, found ${found}`
	const head = paint(SEVERITY_STYLES[severity], severity)
	// A missing closing anchor has no offset of its own.
	const at = kind === 'notClosed' ? '' : ` at offset ${count(offset)}`
	const where = printed`${printablePath(path)}${at}${length}${range}`
	return printed`${head} in ${where} [${kind}]: ${message}${compared}`
}

/** Formats the number of findings that are not listed, one line per kind. */
export function notListedLines(
	notListed: VerifyReport['findingsNotListed'],
	which: '' | ' left as evidence',
): Printable[] {
	return Object.entries(notListed).map(
		([kind, more]) =>
			printed`not listed: ${counted(more, 'more finding', 'more findings')} of kind [${kind}]${which}`,
	)
}

/** Prints lines in chunks, and stops if the reader has closed stdout. */
export async function printLines(stdout: Output, lines: readonly Printable[]): Promise<void> {
	for (let at = 0; at < lines.length && !stdout.isClosed; at += LINES_AT_ONCE) {
		await stdout.write(linesOf(lines.slice(at, at + LINES_AT_ONCE)))
	}
}

/** Returns advice on what to do next. */
export function adviceFor(file: string, findings: readonly VerifyFinding[]): string[] {
	const name = shellWord(file)
	const damage = findings.filter(({ severity }) => severity === 'damage')
	if (damage.length === 0) return []
	const isEvidence = ({ kind }: VerifyFinding) => EVIDENCE.includes(kind)
	const isMissingRecords = damage.some(({ fromSeq }) => fromSeq !== undefined)
	const gaps = isMissingRecords ? ', and a gap for each missing range' : ''
	const lines = [`mesh-chain dump ${name} prints all readable records${gaps}`]
	if (damage.some((finding) => isEvidence(finding) && finding.kind !== 'headMissing')) {
		lines.push(
			'this chain was changed: leave its files as they are, and compare them with a copy or a stored head',
		)
	} else if (damage.some(isEvidence)) {
		lines.push('this chain does not match the head: compare this chain with a copy')
	}
	if (damage.some(({ kind }) => kind === 'missingFile')) {
		lines.push('a file is missing: restore it from a copy, because a repair cannot recreate it')
	}
	if (!damage.every((finding) => isEvidence(finding) || finding.kind === 'missingFile')) {
		lines.push(`next: mesh-chain repair --dry-run ${name} shows what a repair would do`)
	}
	return lines
}
