/**
 * Puts a damaged chain right: plans, keeps aside what it is about to change, then applies. Everything that can be read stays; what is
 * missing gets a `$gap` in its place. What somebody changed on purpose is left as evidence.
 */

import { show } from '../../guard/show.ts'
import { checkOptionNames } from '../../model/check.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import { LOG_LEVELS } from '../../model/record.ts'
import {
	closeQuietly,
	type FileSystem,
	nodeFileSystem,
	O_RDONLY,
	O_RDWR,
	openOurs,
} from '../../platform/file-system.ts'
import type { RepairAction, RepairReport, VerifyReport } from '../chain.ts'
import { bootId } from '../files/boot-id.ts'
import { acquireLock } from '../files/lock.ts'
import { keepAside, removeTemporaries, unreadable } from '../files/names.ts'
import { identifyFile, listSegments, ownerOf } from '../files/segments.ts'
import { isUnsyncedPlace, readWatermark, WatermarkFile } from '../files/watermark-file.ts'
import type { Watermark } from '../format/watermark.ts'
import { type ChainFile, ChainFiles } from '../read/chain-files.ts'
import { openForReading } from '../read/open-file.ts'
import { epochMaxOf, linkUpTo, readChainEnd } from '../scan/chain-end.ts'
import { NO_LINK } from '../scan/identity.ts'
import type { OpenFile } from '../scan/walk.ts'
import { type Previous, rebuildFile } from './rebuild.ts'
import { RepairPlan } from './repair-plan.ts'
import { examine, type VerifyOptions, type VerifyProgress } from './verify.ts'

export interface RepairOptions {
	/** Only say what would be done. Default false. */
	readonly dryRun?: boolean
	/** Called for every piece that was looked at. */
	readonly onProgress?: (progress: VerifyProgress) => void
	readonly fs?: FileSystem
}

/**
 * Repairs a chain that no writer has open. A second run finds nothing to do. A process that is killed in the middle leaves every record
 * readable, and repairing again finishes the work.
 *
 * @throws {MeshChainError} what `openChain` throws; `CHAIN_LOCKED`; `CHAIN_SEALED`; `REPAIR_FAILED` when the disk does not go along.
 */
export async function repairChain(path: string, options: RepairOptions = {}): Promise<RepairReport> {
	checkOptionNames(options, ['dryRun', 'onProgress', 'fs'])
	const { dryRun = false, onProgress, fs: system = nodeFileSystem } = options
	const verifyOptions = { fs: system, ...(onProgress === undefined ? {} : { onProgress }) }
	const { plan, report } = await planFor(path, verifyOptions)
	if (dryRun || plan.actions.length === 0) {
		return sourceReport(path, dryRun, { actions: plan.actions, ...plan.left }, report)
	}
	return underLock(path, system, async (held) => {
		// A writer may have come and gone since.
		const now = await planFor(path, verifyOptions)
		const actions = apply(held, now.plan.actions)
		// What could not be read may have hidden what shows by now.
		const after = await planFor(path, verifyOptions)
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

/** @throws {MeshChainError} `CHAIN_LOCKED`, `REPAIR_FAILED`. */
async function underLock<T>(
	path: string,
	system: FileSystem,
	work: (held: OpenFile) => Promise<T>,
): Promise<T> {
	const held = await openForReading(path, system)
	try {
		const owner = ownerOf(system, held.chainPath, held.identity)
		if (owner !== undefined) {
			const text = `${show(path)} is a sealed file of ${show(owner)}: repair that one`
			throw new MeshChainError('CHAIN_SEALED', text, { path })
		}
		const { mode } = system.fstatSync(held.fd)
		const lock = acquireLock(system, held.chainPath, Date.now(), 0, mode & 0o777)
		try {
			return await work(held)
		} finally {
			// Whether the writer before is gone is as well known as it was.
			lock.release(lock.provenance === 'kernel')
		}
	} catch (error) {
		throw asRepairError(path, error)
	} finally {
		await system.close(held.fd)
	}
}

function apply(held: OpenFile, planned: readonly RepairAction[]): RepairAction[] {
	const { system, chainPath } = held
	removeTemporaries(system, chainPath)
	const files = new ChainFiles(held).list()
	return planned.map((each) => {
		const fd = openOurs(system, each.path, O_RDWR)
		try {
			const { segment } = identifyFile(system, fd, each.path)
			const listed = files.find(({ identity }) => identity.segment === segment)!
			const repair = new FileRepair(system, chainPath, listed, each, fd)
			return each.action === 'cut' ? repair.cut() : repair.rebuild()
		} finally {
			closeQuietly(system, fd)
		}
	})
}

class FileRepair {
	readonly #system: FileSystem
	readonly #chainPath: string
	readonly #listed: ChainFile
	readonly #planned: RepairAction
	readonly #fd: number

	constructor(system: FileSystem, chainPath: string, listed: ChainFile, planned: RepairAction, fd: number) {
		this.#system = system
		this.#chainPath = chainPath
		this.#listed = listed
		this.#planned = planned
		this.#fd = fd
	}

	/** The last epoch that can have been opened in the file. */
	get #epochMax(): number {
		const { size } = this.#system.fstatSync(this.#fd)
		return epochMaxOf(readChainEnd(this.#system, this.#fd, size, this.#listed.identity))
	}

	/** Bytes at the end, with nothing valid behind them. */
	cut(): RepairAction {
		const { offset, bytes } = this.#planned
		const keptAt = keepAside(this.#system, this.#chainPath, this.#fd, offset, bytes)
		this.#system.ftruncateSync(this.#fd, offset)
		this.#system.fsyncSync(this.#fd)
		return { ...this.#planned, keptAt }
	}

	rebuild(): RepairAction {
		const { path } = this.#planned
		const { identity, end, nextFirstSeq } = this.#listed
		const mark = readWatermark(this.#system, this.#chainPath, identity.id)
		const isLive = nextFirstSeq === undefined
		const rebuilt = rebuildFile(this.#system, {
			chainPath: this.#chainPath,
			path,
			fd: this.#fd,
			identity,
			end,
			isLive,
			previous: this.#previous(),
			// What the mark vouches for was there once.
			nextSeqMin: nextFirstSeq ?? (mark?.seq ?? 0) + 1,
			isUnsynced: (offset, bootId) =>
				isUnsyncedPlace(this.#system, this.#chainPath, identity, offset, bootId),
			// Only the offset: what was there once is not forgotten before a gap says so.
			beforeSwap: ({ offset }) => {
				if (isLive && mark !== undefined) this.#tellDurable(mark, offset, mark.seq)
			},
		})
		const { offset, nextSeq } = rebuilt
		const lowered = readWatermark(this.#system, this.#chainPath, identity.id)
		if (isLive) this.#tellDurable(lowered, offset, nextSeq - 1)
		const { keptAt, bytes, lostRecords } = rebuilt
		return { ...this.#planned, bytes, lostRecords, keptAt }
	}

	/** How far the file before counts, and its link there. */
	#previous(): Previous {
		const { id, segment } = this.#listed.identity
		const before = listSegments(this.#system, this.#chainPath, id).find(
			({ identity }) => identity.segment === segment - 1,
		)
		const none = { end: 0, link: NO_LINK, levelCounts: LOG_LEVELS.map(() => 0), keptFromSeq: 1 }
		if (before === undefined) return none
		const { path, identity, bytes: end } = before
		const fd = openOurs(this.#system, path, O_RDONLY)
		try {
			const { anchor, levelCounts } = readChainEnd(this.#system, fd, end, identity)
			const link = linkUpTo(this.#system, fd, end, identity, anchor)
			return { end, link, levelCounts, keptFromSeq: anchor?.keptFromSeq ?? 1 }
		} finally {
			closeQuietly(this.#system, fd)
		}
	}

	/** The mark goes down before what it vouches for is replaced, and up again afterwards. */
	#tellDurable(before: Watermark | undefined, offset: number, seq: number): void {
		const { id, segment } = this.#listed.identity
		// The openings that stood in what cannot be read are known to nobody but the mark from now on.
		const epoch = Math.max(before?.epoch ?? 0, this.#epochMax)
		const writer = { epoch, bootId: bootId(this.#system) }
		const mode = this.#system.fstatSync(this.#fd).mode & 0o777
		const mark = new WatermarkFile(this.#system, { path: this.#chainPath, id, mode }, writer, before)
		try {
			mark.write({ segment, offset, seq })
		} finally {
			mark.close()
		}
	}
}

function asRepairError(path: string, error: unknown): MeshChainError {
	if (error instanceof MeshChainError) return error
	const { message } = unreadable(path, error)
	return new MeshChainError(
		'REPAIR_FAILED',
		`${show(path)} could not be repaired: ${messageOf(error)}; every record that was readable still is, and repairing again goes on (${message})`,
		{ path, cause: error },
	)
}
