/**
 * Repairs a damaged chain: plans the repair, saves a copy of everything that it is about to change, then
 * applies the plan. Everything readable stays in the chain, and a `$gap` covers missing records. Deliberate
 * changes are left as evidence.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import { LOG_LEVELS } from '../../model/record.ts'
import { removeTemporaries } from '../../platform/atomic-file.ts'
import { type FileSystem, O_RDONLY, O_RDWR, type OpenFile, withFile } from '../../platform/file-system.ts'
import type { RepairAction, RepairReport, VerifyReport } from '../chain.ts'
import { bootId } from '../files/boot-id.ts'
import { cutAndKeepAside } from '../files/keep-aside.ts'
import { acquireLock } from '../files/lock.ts'
import { openError } from '../files/open-error.ts'
import { identifyFile, listSegments, ownerOf } from '../files/segments.ts'
import { isUnsyncedAt, readWatermark, WatermarkFile } from '../files/watermark-file.ts'
import type { Watermark } from '../format/watermark.ts'
import { type ChainFile, ChainFiles } from '../read/chain-files.ts'
import { openForReading } from '../read/open-file.ts'
import { epochMaxOf, readChainEnd } from '../scan/chain-end.ts'
import { NO_LINK } from '../scan/identity.ts'
import { linkUpTo } from '../scan/scan-range.ts'
import type { OpenSegment } from '../scan/walk.ts'
import { examine } from './examine.ts'
import { type Previous, rebuildFile } from './rebuild.ts'
import { RepairPlan } from './repair-plan.ts'
import type { VerifyOptions } from './verify.ts'

interface RepairFilesOptions extends Pick<VerifyOptions, 'onProgress'> {
	readonly fs: FileSystem
}

/** @throws {MeshChainError} The same errors as {@link repairChain}. */
export async function repairFiles(
	path: string,
	dryRun: boolean,
	options: RepairFilesOptions,
): Promise<RepairReport> {
	const { plan, report } = await planFor(path, options)
	if (dryRun || plan.actions.length === 0) {
		return sourceReport(path, dryRun, { actions: plan.actions, ...plan.left }, report)
	}
	return underLock(path, options.fs, async (held) => {
		// A writer may have changed the chain before the lock was taken.
		const now = await planFor(path, options)
		const actions = apply(held, now.plan.actions)
		// The unreadable bytes may have hidden other damage.
		const after = await planFor(path, options)
		return sourceReport(path, dryRun, { actions, ...after.plan.left }, after.report)
	})
}

async function planFor(
	path: string,
	options: VerifyOptions,
): Promise<{ readonly plan: RepairPlan; readonly report: VerifyReport }> {
	const plan = new RepairPlan()
	const report = await examine(path, options, (finding, pathBefore) => plan.add(finding, pathBefore))
	return { plan, report }
}

function sourceReport(
	path: string,
	dryRun: boolean,
	done: Pick<RepairReport, 'actions' | 'left' | 'leftNotListed'>,
	{ records, ok, answer, recordsLost }: VerifyReport,
): RepairReport {
	return { path, dryRun, ...done, records, ok, answer, recordsLost }
}

/**
 * Runs `work` while holding the lock.
 *
 * @throws {MeshChainError} `CHAIN_LOCKED`, `CHAIN_SEALED` or `REPAIR_FAILED`.
 */
async function underLock<T>(
	path: string,
	system: FileSystem,
	work: (held: OpenSegment) => Promise<T>,
): Promise<T> {
	const held = await openForReading(path, system)
	try {
		const owner = ownerOf(system, held.chainPath, held.identity)
		if (owner !== undefined) {
			const text = `${show(path)} is a sealed file of the chain ${show(owner)}: repair that chain instead`
			throw new MeshChainError('CHAIN_SEALED', text, { path })
		}
		const { mode } = system.fstatSync(held.fd)
		const lock = acquireLock(system, held.chainPath, { nowMs: Date.now(), mode: mode & 0o777 })
		try {
			return await work(held)
		} finally {
			// If the kernel released the lock of the previous writer, the lock file remains as evidence of this.
			lock.release(lock.provenance === 'kernel' ? 'unclosed' : 'closed')
		}
	} catch (error) {
		throw asRepairError(path, error)
	} finally {
		await system.close(held.fd)
	}
}

function apply(held: OpenSegment, planned: readonly RepairAction[]): RepairAction[] {
	const { system, chainPath } = held
	removeTemporaries(system, chainPath)
	const files = new ChainFiles(held).list()
	return planned.map((each) => {
		return withFile(system, each.path, O_RDWR, (file) => {
			const { segment } = identifyFile(file, each.path)
			const listed = files.find(({ identity }) => identity.segment === segment)!
			const repair = new FileRepair({ chainPath, file, listed, planned: each })
			return each.action === 'cut' ? repair.cut() : repair.rebuild()
		})
	})
}

interface DamagedFile {
	readonly chainPath: string
	readonly file: OpenFile
	readonly listed: ChainFile
	readonly planned: RepairAction
}

class FileRepair {
	readonly #system: FileSystem
	readonly #chainPath: string
	readonly #file: OpenFile
	readonly #listed: ChainFile
	readonly #planned: RepairAction

	constructor({ chainPath, file, listed, planned }: DamagedFile) {
		this.#system = file.system
		this.#chainPath = chainPath
		this.#file = file
		this.#listed = listed
		this.#planned = planned
	}

	/** The highest epoch that may have been opened in the file. */
	get #epochMax(): number {
		const { size } = this.#system.fstatSync(this.#file.fd)
		return epochMaxOf(readChainEnd(this.#file, size, this.#listed.identity))
	}

	/** Cuts off the bytes after the last valid entry. */
	cut(): RepairAction {
		const { offset, bytes } = this.#planned
		const keptAt = cutAndKeepAside(this.#chainPath, this.#file, offset, bytes)
		return { ...this.#planned, keptAt }
	}

	rebuild(): RepairAction {
		const { path } = this.#planned
		const { identity, end, nextFirstSeq } = this.#listed
		const watermark = readWatermark(this.#system, this.#chainPath, identity.id)
		const isLive = nextFirstSeq === undefined
		const rebuilt = rebuildFile({
			chainPath: this.#chainPath,
			path,
			file: this.#file,
			identity,
			end,
			isLive,
			previous: this.#previous(),
			// The file once contained everything below the watermark.
			nextSeqMin: nextFirstSeq ?? (watermark?.seq ?? 0) + 1,
			isUnsynced: (offset, bootId) =>
				isUnsyncedAt({ system: this.#system, chainPath: this.#chainPath, identity }, offset, bootId),
			// Lowers only the offset. The seq stays the same until a gap covers the lost records.
			beforeSwap: ({ offset }) => {
				if (isLive && watermark !== undefined) this.#writeWatermark(watermark, offset, watermark.seq)
			},
		})
		const { offset, nextSeq } = rebuilt
		const lowered = readWatermark(this.#system, this.#chainPath, identity.id)
		if (isLive) this.#writeWatermark(lowered, offset, nextSeq - 1)
		const { keptAt, bytes, lostRecords } = rebuilt
		return { ...this.#planned, bytes, lostRecords, keptAt }
	}

	/** Returns the end of the previous file, and the link of that file at its end. */
	#previous(): Previous {
		const { id, segment } = this.#listed.identity
		const before = listSegments(this.#system, this.#chainPath, id).find(
			({ identity }) => identity.segment === segment - 1,
		)
		const none = { end: 0, link: NO_LINK, levelCounts: LOG_LEVELS.map(() => 0), keptFromSeq: 1 }
		if (before === undefined) return none
		const { path, identity, bytes: end } = before
		return withFile(this.#system, path, O_RDONLY, (file) => {
			const { anchor, levelCounts } = readChainEnd(file, end, identity)
			const link = linkUpTo(file, end, identity, anchor)
			return { end, link, levelCounts, keptFromSeq: anchor?.keptFromSeq ?? 1 }
		})
	}

	/**
	 * Writes the watermark. It is lowered before the bytes below it are replaced, and raised again
	 * afterwards.
	 */
	#writeWatermark(before: Watermark | undefined, offset: number, seq: number): void {
		const { id, segment } = this.#listed.identity
		// After this repair, only the watermark records openings whose anchors were in the unreadable bytes.
		const epoch = Math.max(before?.epoch ?? 0, this.#epochMax)
		const writer = { epoch, bootId: bootId(this.#system) }
		const mode = this.#system.fstatSync(this.#file.fd).mode & 0o777
		const watermark = new WatermarkFile(this.#system, { path: this.#chainPath, id, mode }, writer, before)
		try {
			watermark.write({ segment, offset, seq })
		} finally {
			watermark.close()
		}
	}
}

function asRepairError(path: string, error: unknown): MeshChainError {
	if (error instanceof MeshChainError) return error
	const { message } = openError(path, error)
	return new MeshChainError(
		'REPAIR_FAILED',
		`${show(path)} could not be repaired: ${messageOf(error)}; ` +
			`no readable record is lost, and another repair continues the work (${message})`,
		{ path, cause: error },
	)
}
