/**
 * Decides how a repair handles the findings of a verification. Receives every finding, including those that a
 * report does not list.
 *
 * Invariant: all damage is either fixed permanently, or reported and left for a person to decide. A file with
 * evidence of a deliberate change is left unchanged. If the evidence concerns the seam between two files,
 * both files are left unchanged, because a repair of either file would destroy the evidence.
 */
import type { RepairAction, RepairReport, VerifyFinding, VerifyFindingKind } from '../chain.ts'
import { type CountByKind, EVIDENCE, ListedFindings } from './findings.ts'

/** Kinds of findings that are fixed by rebuilding the file with a `$gap`. */
const REBUILT: readonly VerifyFindingKind[] = ['damaged', 'ambiguous', 'truncated', 'missing']
/** Kinds of findings that are fixed by cutting off their bytes, unless the file is rebuilt anyway. */
const CUT: readonly VerifyFindingKind[] = ['tornTail', 'unsynced']

export class RepairPlan {
	readonly #actions = new Map<string, RepairAction>()
	/** Paths of files that are left unchanged. */
	readonly #untouchable = new Set<string>()
	/** Findings that a repair never fixes. */
	readonly #evidence = new ListedFindings()
	/**
	 * Findings that are fixed unless their file is left unchanged, and the number of findings by kind and file.
	 */
	readonly #rebuilt = new ListedFindings()
	readonly #rebuiltIn = new Map<string, CountByKind>()
	/**
	 * Findings about missing files, by the path of the file before them. Rebuilding that file writes a gap for
	 * the missing files.
	 */
	readonly #missingAfter = new Map<string, VerifyFinding>()

	add(finding: VerifyFinding, pathBefore: string | undefined): void {
		const { kind, severity, path } = finding
		if (severity === 'damage' && EVIDENCE.includes(kind)) {
			this.#evidence.add(finding)
			if (kind === 'headMissing') return
			this.#untouchable.add(path)
			if (pathBefore !== undefined) this.#untouchable.add(pathBefore)
		} else if (REBUILT.includes(kind) || (kind === 'unsynced' && severity === 'loss')) {
			this.#rebuilt.add(finding)
			const counts = this.#rebuiltIn.get(path) ?? {}
			counts[kind] = (counts[kind] ?? 0) + 1
			this.#rebuiltIn.set(path, counts)
			this.#plan(finding, 'rebuild')
		} else if (CUT.includes(kind)) this.#plan(finding, 'cut')
		else if (kind === 'missingFile' && severity === 'damage') {
			if (pathBefore === undefined) this.#evidence.add(finding)
			else this.#missingAfter.set(pathBefore, finding)
		}
	}

	get actions(): RepairAction[] {
		return [...this.#actions.values()].filter(({ path }) => !this.#untouchable.has(path))
	}

	get left(): Pick<RepairReport, 'left' | 'leftNotListed'> {
		const isRebuilt = (path: string) => this.#rebuiltIn.has(path) && !this.#untouchable.has(path)
		const left = this.#rebuilt.all.filter(({ path }) => this.#untouchable.has(path))
		const missing = [...this.#missingAfter].filter(([path]) => !isRebuilt(path))
		const leftNotListed: CountByKind = { ...this.#evidence.notListed }
		for (const path of this.#untouchable) {
			for (const [kind, count] of Object.entries(this.#rebuiltIn.get(path) ?? {})) {
				const key = kind as VerifyFindingKind
				leftNotListed[key] = (leftNotListed[key] ?? 0) + count
			}
		}
		for (const { kind } of left) leftNotListed[kind]! -= 1
		const counts = Object.entries(leftNotListed).filter(([, count]) => count > 0)
		return {
			left: [...this.#evidence.all, ...left, ...missing.map(([, finding]) => finding)],
			leftNotListed: Object.fromEntries(counts),
		}
	}

	#plan(finding: VerifyFinding, action: RepairAction['action']): void {
		const { path, fromSeq, toSeq } = finding
		const before = this.#actions.get(path)
		const lost = fromSeq === undefined ? 0 : toSeq! - fromSeq + 1
		this.#actions.set(path, {
			action: before?.action === 'rebuild' ? 'rebuild' : action,
			path,
			offset: Math.min(before?.offset ?? Number.POSITIVE_INFINITY, finding.offset),
			bytes: (before?.bytes ?? 0) + finding.bytes,
			lostRecords: (before?.lostRecords ?? 0) + lost,
			keptAt: undefined,
		})
	}
}
