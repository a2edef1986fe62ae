/**
 * Reads a chain: skips stretches and frames that cannot match, decodes the rest frame by frame, and yields a
 * `$gap` for each unreadable part. Never writes, never blocks the writer, and never returns records from an
 * incomplete frame.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import type { Chain, ChainEndInfo, ChainInfo, ChainInfoOptions, ChainQuery, TailQuery } from '../chain.ts'
import { lockObstacle, readHolder } from '../files/lock-holder.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { anchorBefore, type OpenSegment, walkFile } from '../scan/walk.ts'
import { ChainFiles } from './chain-files.ts'
import { FRAMES, type FrameOrGap, RECORDS } from './collectors.ts'
import { matchingIn, missingStart, walkedFile } from './file-query.ts'
import { gatherInfo, stateOf } from './info.ts'
import { INFO_OPTIONS } from './info-options.ts'
import { applyGapRule, limitBatches } from './limit.ts'
import { asReadError } from './open-file.ts'
import { type ResolvedQuery, resolveQuery, resolveTail } from './query.ts'
import { RecordIterator, recordsOf } from './record-iterator.ts'
import { Tail } from './tail.ts'

export class FileChain implements Chain {
	readonly path: string
	readonly chainId: string
	readonly #file: OpenSegment
	readonly #files: ChainFiles
	#closing: Promise<void> | undefined

	constructor(file: OpenSegment) {
		this.path = file.chainPath
		this.chainId = file.identity.idHex
		this.#file = file
		this.#files = new ChainFiles(file)
	}

	records(query: ChainQuery = {}): AsyncIterable<LogRecord> {
		return recordsOf(this.batches(query))
	}

	batches(query: ChainQuery = {}): AsyncIterable<LogRecord[]> {
		const resolved = resolveQuery(query)
		return { [Symbol.asyncIterator]: () => this.#limited(resolved) }
	}

	tail(query: TailQuery = {}): AsyncIterable<LogRecord> {
		const resolved = resolveTail(query)
		return {
			[Symbol.asyncIterator]: () => {
				const tail = new Tail(this.#files, resolved, RECORDS, () => this.#refuseWhenClosed())
				const ruled = ruledBatches(tail, resolved.query.gaps, this.path)
				return new RecordIterator(ruled, () => tail.stop())
			},
		}
	}

	/**
	 * Follows the frames after a seq, without decoding them: first the existing frames, then new ones. An
	 * empty batch means that no more frames are available yet. The bytes of a batch stay valid until the next
	 * batch is requested. Ends when the signal aborts. Rejects with the same errors as {@link tail}.
	 */
	followFrames(
		query: Pick<TailQuery, 'afterSeq' | 'pollIntervalMs' | 'signal'>,
	): AsyncIterable<FrameOrGap[]> {
		return new Tail(this.#files, resolveTail(query), FRAMES, () => this.#refuseWhenClosed()).batches()
	}

	async info(options: ChainInfoOptions = {}): Promise<ChainInfo> {
		const { full } = INFO_OPTIONS.resolve(options)
		this.#refuseWhenClosed()
		try {
			return await gatherInfo(this.#files, full)
		} catch (error) {
			throw asReadError(this.path, error)
		}
	}

	async end(): Promise<ChainEndInfo> {
		this.#refuseWhenClosed()
		try {
			const listing = this.#files.holdLast()
			try {
				return await endOf(listing.last)
			} finally {
				this.#files.release(listing)
			}
		} catch (error) {
			throw asReadError(this.path, error)
		}
	}

	close(): Promise<void> {
		this.#closing ??= this.#file.system.close(this.#file.fd)
		return this.#closing
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	#refuseWhenClosed(): void {
		if (this.#closing === undefined) return
		throw new MeshChainError(
			'CHAIN_CLOSED',
			`the chain ${show(this.path)} was closed while it was being read`,
			{
				path: this.path,
			},
		)
	}

	async *#limited(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		try {
			for await (const batch of limitBatches(this.#matching(query), query, this.path)) {
				this.#refuseWhenClosed()
				yield batch
				this.#refuseWhenClosed()
			}
		} catch (error) {
			// The error from reading a closed file would be less clear.
			this.#refuseWhenClosed()
			throw asReadError(this.path, error)
		}
	}

	async *#matching(query: ResolvedQuery): AsyncGenerator<LogRecord[]> {
		this.#refuseWhenClosed()
		const listing = this.#files.hold()
		const { files } = listing
		try {
			if (!query.reverse) yield* missingStart(this.#files, files, query, RECORDS)
			for (const file of query.reverse ? files.toReversed() : files) {
				const { identity, nextFirstSeq = Number.POSITIVE_INFINITY } = file
				if (nextFirstSeq <= query.fromSeq || identity.firstSeq > query.toSeq) continue
				yield* matchingIn(this.#files, file, query, RECORDS)
			}
			if (query.reverse) yield* missingStart(this.#files, files, query, RECORDS)
		} finally {
			this.#files.release(listing)
		}
	}
}

async function* ruledBatches(
	tail: Tail<LogRecord>,
	gaps: ResolvedQuery['gaps'],
	path: string,
): AsyncGenerator<LogRecord[]> {
	for await (const batch of tail.batches()) {
		const wanted = applyGapRule(batch, gaps, path)
		if (wanted.length > 0) yield wanted
	}
}

async function endOf(file: OpenSegment): Promise<ChainEndInfo> {
	const { size } = await file.system.fstat(file.fd)
	const { isUnsynced } = walkedFile(file)
	const newest = await anchorBefore(file, size)
	let last = newest
	let tornBytes = 0
	let damagedBytes = 0
	for await (const entries of walkFile(file, last?.offset ?? HEADER_BYTES, size)) {
		for (const entry of entries) {
			if (entry.type === 'frame') last = undefined
			else if (entry.type !== 'bad' || !entry.place.atEnd) continue
			else if (entry.place.torn || isUnsynced?.(entry.place.offset, newest?.bootId))
				tornBytes = entry.place.bytes
			else damagedBytes = entry.place.bytes
		}
	}
	const closed = last?.reason === 'closed' ? last : undefined
	const holder = closed === undefined ? readHolder(file.system, file.chainPath) : undefined
	const obstacle = closed === undefined ? lockObstacle(file.system, file.chainPath) : undefined
	const state = stateOf(closed, holder !== undefined, obstacle)
	const exitCode = state === 'exited' ? closed?.detail : undefined
	const why = state === 'unknown' ? { unknownBecause: obstacle! } : {}
	return { state, exitCode, holder, ...why, tornBytes, damagedBytes }
}
