/**
 * Follows a chain that is being written: its history first, and then whatever comes. Both are one walk from entry to entry and from
 * file to file, so there is no seam between them. Polling is the truth, `fs.watch` only a hint to poll sooner.
 *
 * Invariant: the walk goes on from an entry that stood where it was found; before it goes on, that entry is read again. Where it
 * is gone, the walk goes back to the last anchor that stands, and what was handed out before is not handed out again. Where the system
 * is out of something for a moment, the walk waits where it is.
 */

import { show } from '../../guard/show.ts'
import { checkBoolean, checkSignal, checkTimerMs, ifGiven } from '../../model/check.ts'
import { MeshChainError } from '../../model/errors.ts'
import { isSameFile, systemCode } from '../../platform/file-system.ts'
import { Sleeper } from '../../platform/wait.ts'
import type { TailQuery } from '../chain.ts'
import { mayBeHeld } from '../files/lock-holder.ts'
import { readWatermark } from '../files/watermark-file.ts'
import type { Anchor } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { entryEnd, entryStart, type ScanEntry } from '../scan/scan.ts'
import { anchorBefore, type OpenFile, walkFile } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'
import { matchingIn, missingHead, walkedFile } from './file-query.ts'
import { causeOfAbsence, removedGap } from './missing-files.ts'
import { asReadError } from './open-file.ts'
import { Patience } from './patience.ts'
import { type EntryCollector, type ResolvedQuery, resolveQuery, type View } from './query.ts'
import { findStretches, type Stretch } from './seek.ts'

const POLL_MS_DEFAULT = 200
const TAIL_KEYS = ['pollMs', 'durableOnly', 'signal'] as const

export interface ResolvedTail {
	readonly query: ResolvedQuery
	readonly pollMs: number
	readonly durableOnly: boolean
	readonly signal: AbortSignal | undefined
}

/** @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`, `INVALID_OPTION` */
export function resolveTail(query: TailQuery): ResolvedTail {
	const resolved = resolveQuery(query, TAIL_KEYS)
	const { pollMs = POLL_MS_DEFAULT, durableOnly = false, signal } = query
	checkTimerMs('pollMs', pollMs)
	checkBoolean('durableOnly', durableOnly)
	ifGiven('signal', signal, checkSignal)
	if (resolved.reverse || resolved.limit !== Number.POSITIVE_INFINITY) {
		throw new MeshChainError('INVALID_FILTER', 'a tail has no end, so it takes neither reverse nor limit')
	}
	return { query: resolved, pollMs, durableOnly, signal }
}

export class Tail<T> {
	readonly #files: ChainFiles
	readonly #view: View<T>
	/** The one that the walk has come to. */
	#file: OpenFile
	readonly #tail: ResolvedTail
	/** What is left of it, once something was handed out and the walk had to begin again. */
	#query: ResolvedQuery
	/** Everything up to there was handed out, or did not match. */
	#spokenSeq = 0
	readonly #patience: Patience
	readonly #refuseWhenClosed: () => void
	#collector: EntryCollector<T>
	/** Where the last known entry begins; the beginning of the file when there is none. */
	#entryOffset = HEADER_BYTES
	/** The offset behind it. */
	#position = HEADER_BYTES
	/** What was handed out last. */
	#epoch = 0
	#seq = 0
	/** How far the file was looked at, valid or not. */
	#seenEnd = -1
	/** What its unreadable end may have held was handed out as a gap. */
	#endWasTold = false
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
	 * An empty batch says that nothing more is there at the moment: the next one comes when there may be. Ends when the signal aborts or nothing that could come
	 * would match; rejects as `Chain.tail` says, but for the query's rule for gaps.
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

	/** Ends {@link batches}, also while it waits. */
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

	/** Everything that has come since the lap before; then a wait, unless another file follows. */
	async *#lap(): AsyncGenerator<T[]> {
		this.#hinted = false
		// What was written before the name was seen to lead elsewhere is still read.
		const next = this.#whatFollows()
		let isAtEnd = true
		for await (const batch of this.#newEntries(next?.file?.previousEnd)) {
			isAtEnd = false
			if (batch.length > 0) yield batch
		}
		if (!isAtEnd) return
		if (next?.error !== undefined) throw next.error
		if (next?.file !== undefined) yield* this.#goOnIn(next.file)
		else {
			yield []
			await this.#wait()
		}
	}

	/** Everything before the last anchor, as a reader would have it; from that anchor on, the walk begins. */
	async *#history(files: readonly ChainFile[]): AsyncGenerator<T[]> {
		this.#refuseWhenClosed()
		const query = this.#query
		yield* missingHead(this.#files, files, query, this.#view)
		if (query.isEverything) {
			// The last one is open: it is never gone.
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
				this.#goOnAt(anchor)
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

	/** Makes a file the one that the walk is in; false when it is gone. */
	async #open(listed: ChainFile): Promise<boolean> {
		const file = await this.#files.open(listed)
		if (file === undefined) return false
		if (file !== this.#file) await this.#files.close(this.#file)
		this.#file = file
		this.#endWasTold = false
		this.#goOnAt(undefined)
		this.#seenEnd = -1
		this.#watch()
		return true
	}

	/** The next file, from its beginning; what is missing before it or has been removed is a gap. */
	async *#goOnIn(next: FollowingFile): AsyncGenerator<T[]> {
		const { firstSeq } = next.listed.identity
		const cause = next.isNext ? 'damaged' : await causeOfAbsence(this.#files, firstSeq)
		const missing = this.#collector.upTo(firstSeq, cause)
		if (missing.length > 0) yield missing as T[]
		// Where it is gone already, a later look finds what follows it.
		await this.#open(next.listed)
	}

	#newCollector(anchor: Anchor | undefined): EntryCollector<T> {
		return this.#view.collector(this.#query, anchor, walkedFile(this.#file))
	}

	#goOnAt(anchor: Anchor | undefined): void {
		this.#collector = this.#newCollector(anchor)
		this.#entryOffset = anchor?.offset ?? HEADER_BYTES
		this.#position = this.#entryOffset
	}

	/** What stands behind the last known entry by now: a batch an entry or more, empty where nothing matched. */
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
			// A writer that opens the chain cuts what the one before it left half-written.
			if (!(error instanceof MeshChainError && error.code === 'CHAIN_TRUNCATED')) throw error
			this.#seenEnd = -1
		}
	}

	#isKnown(entry: ScanEntry): boolean {
		return (
			entry.type !== 'bad' && entryStart(entry) === this.#entryOffset && this.#position > this.#entryOffset
		)
	}

	/** Whether the walk found the entry it set out from where it was. */
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

	/** Nothing valid stands behind it: an entry that is just being written, or, where nobody writes, an end that cannot be read. */
	*#takeEnd(entry: ScanEntry & { type: 'bad' }): Generator<T[]> {
		const { system, chainPath } = this.#file
		const isWhole = !this.#tail.durableOnly && this.#file.path === chainPath
		if (this.#endWasTold || !isWhole || !entry.place.remains.mayHoldRecords) return
		if (mayBeHeld(system, chainPath)) return
		this.#endWasTold = true
		const batches = this.#collector.take(entry)
		for (let index = 0; index < batches.length; index++) yield batches.at(index) as T[]
	}

	/** Everything up to there was handed out, or did not match. */
	#note(epoch: number, seq: number): void {
		if (epoch < this.#epoch || (epoch === this.#epoch && seq <= this.#seq)) return
		this.#epoch = epoch
		this.#seq = seq
	}

	#isHandedOut({ epoch, baseSeq, rows }: { epoch: number; baseSeq: number; rows: number }): boolean {
		return epoch < this.#epoch || (epoch === this.#epoch && baseSeq + rows - 1 <= this.#seq)
	}

	/** The file became shorter than what was read of it, or something else stands there now. */
	async #goBack(size: number): Promise<void> {
		const { system, path, chainPath } = this.#file
		// A writer whose disk fails takes back what it has half-written, and writes the same again; nobody else may.
		const isWriters = size >= HEADER_BYTES && mayBeHeld(system, chainPath)
		const anchor = isWriters ? await anchorBefore(this.#file, Math.min(size, this.#entryOffset)) : undefined
		if (anchor === undefined) {
			throw new MeshChainError(
				'CHAIN_TRUNCATED',
				`${show(path)} was changed under its reader: what stood at offset ${this.#entryOffset} is gone; somebody truncated or rewrote it`,
				{ path, offset: size },
			)
		}
		this.#goOnAt(anchor)
		this.#seenEnd = -1
	}

	/** The size of the file, and the offset up to which entries may be handed out. */
	async #sizes(): Promise<{ readonly size: number; readonly end: number }> {
		const { system, fd, chainPath, identity } = this.#file
		const { size } = await system.fstat(fd)
		if (!this.#tail.durableOnly) return { size, end: size }
		const mark = readWatermark(system, chainPath, identity.id)
		if (mark !== undefined && mark.segment > identity.segment) return { size, end: size }
		const ours = mark?.segment === identity.segment ? mark.offset : undefined
		const durable = ours ?? (await anchorBefore(this.#file, size))?.durableOffset ?? 0
		return { size, end: Math.max(HEADER_BYTES, Math.min(size, durable)) }
	}

	/** The file behind this one; or what to say when the name of the chain leads to another one by now, or to none. */
	#whatFollows(): { readonly file?: FollowingFile; readonly error?: MeshChainError } | undefined {
		const { system, fd, chainPath, identity } = this.#file
		let what = 'is another file by now'
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

	/** Until something may have changed: the next poll, a hint, or the signal. */
	async #wait(): Promise<void> {
		if (this.#hinted || this.#isStopped) return
		await this.#sleeper.sleep(this.#tail.pollMs)
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

	/** The file that the name leads to now: a watch does not follow the name to another. */
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

/** What is left of a query once everything before a seq was handed out. */
function from(query: ResolvedQuery, seq: number): ResolvedQuery {
	return seq <= query.fromSeq ? query : { ...query, fromSeq: seq, isEverything: false }
}

function replacedError(path: string, what: string): MeshChainError {
	const text = `${show(path)} ${what}: everything that was in the one before has been read; open the chain again to follow the new one`
	return new MeshChainError('CHAIN_REPLACED', text, { path })
}

/** A file that comes after another. */
interface FollowingFile {
	readonly listed: ChainFile
	/** None stood between the two. */
	readonly isNext: boolean
	/** How far the file before counts. */
	readonly previousEnd: number | undefined
}
