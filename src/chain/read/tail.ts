/**
 * Follows a chain while it is being written. Reads its history first, then new records. Both parts are one
 * walk from entry to entry and from file to file, so no record is lost between them. Polling alone finds
 * everything. `fs.watch` only makes polls happen sooner.
 *
 * Invariant: before the walk continues after an entry, it reads that entry again. If the entry is gone, the
 * walk returns to the last anchor that still exists, and does not deliver records twice. While the system
 * lacks a resource, the walk waits at its position.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { isSameFile, systemCode } from '../../platform/file-system.ts'
import { Sleeper } from '../../platform/wait.ts'
import { mayBeHeld } from '../files/lock-holder.ts'
import { readWatermark } from '../files/watermark-file.ts'
import type { Anchor } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { entryEnd, entryStart, type ScanEntry } from '../scan/scan.ts'
import { anchorBefore, type OpenSegment, walkFile } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'
import type { EntryCollector, View } from './collectors.ts'
import { matchingIn, missingStart, walkedFile } from './file-query.ts'
import { causeOfAbsence, removedGap } from './missing-files.ts'
import { asReadError } from './open-file.ts'
import { Patience } from './patience.ts'
import type { ResolvedQuery, ResolvedTail } from './query.ts'
import { findStretches, type Stretch } from './seek.ts'

export class Tail<T> {
	readonly #files: ChainFiles
	readonly #view: View<T>
	/** The file that the walk has reached. */
	#file: OpenSegment
	readonly #tail: ResolvedTail
	/** The query for the remaining records, used when the walk is restarted. */
	#query: ResolvedQuery
	/** Seq up to which every record was delivered or did not match. */
	#spokenSeq = 0
	readonly #patience: Patience
	readonly #refuseWhenClosed: () => void
	#collector: EntryCollector<T>
	/** Offset of the last processed entry, or of the first entry if none was processed. */
	#entryOffset = HEADER_BYTES
	/** End of the last processed entry. */
	#position = HEADER_BYTES
	/** Epoch and seq of the last delivered record. */
	#epoch = 0
	#seq = 0
	/** Offset up to which the file was read, including invalid bytes. */
	#seenEnd = -1
	/** Whether a gap was delivered for the unreadable end of the file. */
	#endWasReported = false
	#stopped = false
	#hinted = false
	readonly #sleeper = new Sleeper()
	#stopWatching: () => void = () => {}

	constructor(files: ChainFiles, tail: ResolvedTail, view: View<T>, refuseWhenClosed: () => void) {
		this.#files = files
		this.#view = view
		this.#file = files.held
		this.#tail = tail
		this.#query = tail.query
		const { chainPath } = files.held
		this.#patience = new Patience(chainPath, {
			isStopped: () => this.#isStopped,
			sleep: (ms) => this.#sleeper.sleep(ms),
		})
		this.#refuseWhenClosed = refuseWhenClosed
		this.#collector = this.#newCollector(undefined)
	}

	/**
	 * Yields batches. An empty batch means that no more records are available yet. Ends when the signal
	 * aborts or no later record can match. Rejects with the same errors as `Chain.tail`, but does not apply
	 * the query's rule for gaps.
	 */
	async *batches(): AsyncGenerator<T[]> {
		if (this.#isStopped) return
		const stopListening = this.#listen()
		try {
			for await (const batch of this.#all()) {
				const last = batch.at(-1)
				if (last !== undefined) this.#spokenSeq = this.#view.lastSeqOf(last)
				yield batch
				if (this.#isStopped) return
			}
		} catch (error) {
			this.#refuseWhenClosed()
			throw asReadError(this.#file.chainPath, error)
		} finally {
			stopListening()
			await this.#files.close(this.#file)
		}
	}

	/** Ends {@link batches}, even during a wait. */
	stop(): void {
		this.#stopped = true
		this.#sleeper.wake()
	}

	get #isStopped(): boolean {
		return this.#stopped || this.#tail.signal?.aborted === true
	}

	async *#all(): AsyncGenerator<T[]> {
		const listing = await this.#patience.patiently(() => this.#files.hold())
		if (listing === undefined) return
		try {
			for (let isDone = false; !isDone && !this.#isStopped; ) {
				try {
					for await (const batch of this.#history(listing.files)) if (batch.length > 0) yield batch
					isDone = true
					this.#patience.worked()
				} catch (error) {
					await this.#patience.waitOut(error)
					this.#query = from(this.#query, this.#spokenSeq + 1)
				}
			}
		} finally {
			this.#files.release(listing, this.#file)
		}
		while (!this.#isStopped && !this.#collector.isPastEnd) {
			try {
				yield* this.#lap()
				this.#patience.worked()
			} catch (error) {
				await this.#patience.waitOut(error)
				this.#seenEnd = -1
			}
		}
	}

	/** Yields everything written since the previous lap, then waits, unless another file follows. */
	async *#lap(): AsyncGenerator<T[]> {
		this.#hinted = false
		// The file is read to its end even if the path now refers to another file.
		const next = this.#whatFollows()
		let isAtEnd = true
		for await (const batch of this.#newEntries(next?.file?.previousEnd)) {
			isAtEnd = false
			if (batch.length > 0) yield batch
		}
		if (!isAtEnd) return
		if (next?.error !== undefined) throw next.error
		if (next?.file !== undefined) yield* this.#continueIn(next.file)
		else {
			yield []
			await this.#wait()
		}
	}

	/**
	 * Yields all matches before the last anchor, as a query does, and starts the walk at that anchor. If the
	 * query has no conditions, the walk starts in the first file.
	 */
	async *#history(files: readonly ChainFile[]): AsyncGenerator<T[]> {
		this.#refuseWhenClosed()
		const query = this.#query
		yield* missingStart(this.#files, files, query, this.#view)
		if (query.isEverything) {
			// The last file is open, so it cannot be gone.
			for (const file of files) {
				if (await this.#open(file)) return
				const gap = await removedGap(this.#files, file)
				if (gap !== undefined) yield [this.#view.ofGap(gap)]
			}
			return
		}
		for (const file of files.slice(0, -1)) {
			const { identity, nextFirstSeq = Number.POSITIVE_INFINITY } = file
			if (nextFirstSeq <= query.fromSeq || identity.firstSeq > query.toSeq) continue
			for await (const batch of matchingIn(this.#files, file, query, this.#view)) {
				this.#refuseWhenClosed()
				yield batch
				if (this.#isStopped) return
			}
		}
		await this.#open(files.at(-1)!)
		yield* this.#liveHistory()
	}

	async *#liveHistory(): AsyncGenerator<T[]> {
		const { end } = await this.#sizes()
		for await (const stretch of findStretches(this.#file, end, this.#query)) {
			if (stretch.isTail) {
				const { anchor } = stretch
				if (anchor !== undefined) this.#note(anchor.epoch, anchor.nextSeq - 1)
				this.#resumeAt(anchor)
				return
			}
			yield* this.#stretch(stretch)
			if (this.#isStopped) return
		}
		this.#collector.isPastEnd = true
	}

	async *#stretch(stretch: Stretch): AsyncGenerator<T[]> {
		const collector = this.#newCollector(stretch.anchor)
		for await (const entries of walkFile(this.#file, stretch.from, stretch.to)) {
			this.#refuseWhenClosed()
			for (const entry of entries) {
				const batches = collector.take(entry)
				if (entry.type === 'frame') this.#note(entry.frame.epoch, entry.frame.baseSeq + entry.frame.rows - 1)
				for (let index = 0; index < batches.length; index++) yield batches.at(index) as T[]
			}
		}
	}

	/** Moves the walk to a file. Returns false if the file is gone. */
	async #open(listed: ChainFile): Promise<boolean> {
		const file = await this.#files.open(listed)
		if (file === undefined) return false
		if (file !== this.#file) await this.#files.close(this.#file)
		this.#file = file
		this.#endWasReported = false
		this.#resumeAt(undefined)
		this.#seenEnd = -1
		this.#watch()
		return true
	}

	/**
	 * Yields a gap for any records missing before the next file, then continues at the beginning of that file.
	 */
	async *#continueIn(next: FollowingFile): AsyncGenerator<T[]> {
		const { firstSeq } = next.listed.identity
		const cause = next.isNext ? 'damaged' : await causeOfAbsence(this.#files, firstSeq)
		const missing = this.#collector.upTo(firstSeq, cause)
		if (missing.length > 0) yield missing as T[]
		// If that file is already gone, a later lap finds its successor.
		await this.#open(next.listed)
	}

	#newCollector(anchor: Anchor | undefined): EntryCollector<T> {
		return this.#view.collector(this.#query, anchor, walkedFile(this.#file))
	}

	#resumeAt(anchor: Anchor | undefined): void {
		this.#collector = this.#newCollector(anchor)
		this.#entryOffset = anchor?.offset ?? HEADER_BYTES
		this.#position = this.#entryOffset
	}

	/**
	 * Yields all matches after the last processed entry. Yields at least one batch per entry, which is empty if
	 * nothing matches.
	 */
	async *#newEntries(endMax = Number.POSITIVE_INFINITY): AsyncGenerator<T[]> {
		this.#refuseWhenClosed()
		const sizes = await this.#sizes()
		const { size } = sizes
		const end = Math.min(sizes.end, endMax)
		if (size < this.#position) await this.#goBack(size)
		if (end === this.#seenEnd || end <= this.#position) return
		this.#seenEnd = end
		try {
			for await (const entries of walkFile(this.#file, this.#entryOffset, end)) {
				for (const entry of entries) {
					if (this.#isKnown(entry)) continue
					if (!this.#stillStands(entry)) {
						await this.#goBack(size)
						yield []
						return
					}
					yield* this.#take(entry)
				}
			}
		} catch (error) {
			// A writer that opens the chain cuts off the half-written end that its predecessor left.
			if (!(error instanceof MeshChainError && error.code === 'CHAIN_TRUNCATED')) throw error
			this.#seenEnd = -1
		}
	}

	#isKnown(entry: ScanEntry): boolean {
		return (
			entry.type !== 'bad' && entryStart(entry) === this.#entryOffset && this.#position > this.#entryOffset
		)
	}

	/** Returns whether the walk found the last processed entry at its old offset. */
	#stillStands(entry: ScanEntry): boolean {
		return entryStart(entry) >= this.#position
	}

	*#take(entry: ScanEntry): Generator<T[]> {
		if (entry.type === 'bad' && entry.place.atEnd) {
			yield* this.#takeEnd(entry)
			return
		}
		const isOld = entry.type === 'frame' && this.#isHandedOut(entry.frame)
		const batches = this.#collector.take(entry)
		if (entry.type !== 'bad') {
			this.#entryOffset = entryStart(entry)
			this.#position = entryEnd(entry)
		}
		if (entry.type === 'frame' && !isOld) {
			this.#note(entry.frame.epoch, entry.frame.baseSeq + entry.frame.rows - 1)
		}
		if (isOld || batches.length === 0) yield []
		else for (let index = 0; index < batches.length; index++) yield batches.at(index) as T[]
	}

	/**
	 * Handles the end of the file: an entry that is being written or, if there is no writer, unreadable bytes.
	 */
	*#takeEnd(entry: ScanEntry & { type: 'bad' }): Generator<T[]> {
		const { system, chainPath } = this.#file
		const isWhole = !this.#tail.durableOnly && this.#file.path === chainPath
		if (this.#endWasReported || !isWhole || !entry.place.remains.mayHoldRecords) return
		if (mayBeHeld(system, chainPath)) return
		this.#endWasReported = true
		const batches = this.#collector.take(entry)
		for (let index = 0; index < batches.length; index++) yield batches.at(index) as T[]
	}

	/** Marks every record up to this seq as delivered or not matching. */
	#note(epoch: number, seq: number): void {
		if (epoch < this.#epoch || (epoch === this.#epoch && seq <= this.#seq)) return
		this.#epoch = epoch
		this.#seq = seq
	}

	#isHandedOut({ epoch, baseSeq, rows }: { epoch: number; baseSeq: number; rows: number }): boolean {
		return epoch < this.#epoch || (epoch === this.#epoch && baseSeq + rows - 1 <= this.#seq)
	}

	/**
	 * Returns to an anchor after the file was cut or overwritten at an offset below the position of the walk.
	 */
	async #goBack(size: number): Promise<void> {
		const { system, path, chainPath } = this.#file
		// After a failed write, a writer cuts off the half-written bytes and writes the same bytes again.
		// Nothing else may cut the file.
		const isWriters = size >= HEADER_BYTES && mayBeHeld(system, chainPath)
		const anchor = isWriters ? await anchorBefore(this.#file, Math.min(size, this.#entryOffset)) : undefined
		if (anchor === undefined) {
			throw new MeshChainError(
				'CHAIN_TRUNCATED',
				`${show(path)} was changed while it was being read: ` +
					`the entry at offset ${this.#entryOffset} is gone; the file was truncated or rewritten`,
				{ path, offset: size },
			)
		}
		this.#resumeAt(anchor)
		this.#seenEnd = -1
	}

	/** Returns the size of the file, and the offset up to which entries may be delivered. */
	async #sizes(): Promise<{ readonly size: number; readonly end: number }> {
		const { system, fd, chainPath, identity } = this.#file
		const { size } = await system.fstat(fd)
		if (!this.#tail.durableOnly) return { size, end: size }
		const watermark = readWatermark(system, chainPath, identity.id)
		if (watermark !== undefined && watermark.segment > identity.segment) return { size, end: size }
		const ours = watermark?.segment === identity.segment ? watermark.offset : undefined
		const durable = ours ?? (await anchorBefore(this.#file, size))?.durableOffset ?? 0
		return { size, end: Math.max(HEADER_BYTES, Math.min(size, durable)) }
	}

	/**
	 * Returns the next file, or an error if the path of the chain refers to another chain or to no file.
	 * Returns undefined while this file is the live file.
	 */
	#whatFollows(): { readonly file?: FollowingFile; readonly error?: MeshChainError } | undefined {
		const { system, fd, chainPath, identity } = this.#file
		let what = 'is now another file'
		try {
			if (isSameFile(system.statSync(chainPath), system.fstatSync(fd))) return undefined
		} catch (error) {
			if (systemCode(error) !== 'ENOENT') throw error
			what = 'was removed'
		}
		const files = this.#files.list()
		const listed = files.find((file) => file.identity.segment > identity.segment)
		if (listed !== undefined) {
			const isNext = listed.identity.segment === identity.segment + 1
			const previousEnd = files.find((file) => file.identity.segment === identity.segment)?.end
			return { file: { listed, isNext, previousEnd } }
		}
		return { error: replacedError(chainPath, what) }
	}

	/** Waits until the next poll is due, the file may have changed, or the signal aborts. */
	async #wait(): Promise<void> {
		if (this.#hinted || this.#isStopped) return
		await this.#sleeper.sleep(this.#tail.pollIntervalMs)
	}

	#listen(): () => void {
		const { signal } = this.#tail
		this.#watch()
		signal?.addEventListener('abort', this.#hint)
		return () => {
			this.#stopWatching()
			signal?.removeEventListener('abort', this.#hint)
		}
	}

	/**
	 * Watches the file at the path of the chain. If the path later refers to another file, the watch stays on
	 * the old file.
	 */
	#watch(): void {
		const { system, chainPath } = this.#file
		this.#stopWatching()
		this.#stopWatching = system.watch(chainPath, this.#hint)
	}

	readonly #hint = (): void => {
		this.#hinted = true
		this.#sleeper.wake()
	}
}

/** Returns the query for the records that have not been delivered yet, which start at `seq`. */
function from(query: ResolvedQuery, seq: number): ResolvedQuery {
	return seq <= query.fromSeq ? query : { ...query, fromSeq: seq, isEverything: false }
}

function replacedError(path: string, what: string): MeshChainError {
	const text =
		`${show(path)} ${what}: the old chain has been read to its end; ` +
		'open the path again to follow the new one'
	return new MeshChainError('CHAIN_REPLACED', text, { path })
}

/** The file that follows the current one. */
interface FollowingFile {
	readonly listed: ChainFile
	/** Whether no file is missing between the two files. */
	readonly isNext: boolean
	/** Offset in the previous file at which this file takes over. */
	readonly previousEnd: number | undefined
}
