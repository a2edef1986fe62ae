/**
 * Finds the files of a chain for a reader: the file that the reader opened, the files that were sealed before
 * it, and later files. A writer may seal, rename and remove files at the same time. Even so, a reader neither
 * misses a record that is still in the chain nor returns a record twice.
 *
 * Invariant: a walk over the listed files can always be completed. The last file is kept open from the moment
 * it is listed. If any other file is removed before the walk reaches it, the header of the next file shows
 * which seqs are missing.
 */
import { MeshChainError } from '../../model/errors.ts'
import {
	closeQuietly,
	isSameFile,
	NOT_THERE,
	O_NOFOLLOW,
	O_NONBLOCK,
	O_RDONLY,
	systemCode,
} from '../../platform/file-system.ts'
import { endsRepaired, identifyFile, listSegments, type Segment, sameId } from '../files/segments.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import type { OpenSegment } from '../scan/walk.ts'
import { openFile } from './open-file.ts'

/** One file of a chain, which is opened when the walk reaches it. */
export interface ChainFile {
	readonly identity: ChainIdentity
	/** Path of the file when it was listed. */
	readonly path: string
	/** Offset at which the next file takes over; undefined if the complete file belongs to the chain. */
	readonly end: number | undefined
	/** First seq of the next file; undefined for the last file. */
	readonly nextFirstSeq: number | undefined
	/** Whether a file between this one and the next is missing. */
	readonly isNextMissing: boolean
	/** Handle of the file, if it is already open. The last file of a held listing is always open. */
	readonly opened?: OpenSegment
}

/** The files of a chain at one point in time, oldest first. */
export interface Listing {
	readonly files: readonly ChainFile[]
	/** The last file, which is open. */
	readonly last: OpenSegment
}

export class ChainFiles {
	/** The file that stays open while the chain is read, even if it is renamed or removed. */
	readonly held: OpenSegment
	/** The last file of each listing that is still held. */
	readonly #kept = new Set<OpenSegment>()

	constructor(held: OpenSegment) {
		this.held = held
	}

	/**
	 * Lists the current files, oldest first. The last one is the live file, and stays open until the caller
	 * passes the listing to {@link release}.
	 */
	hold(): Listing {
		const { last } = this.holdLast()
		try {
			const before = this.#filesBefore(last.identity)
			return { files: [...before, { ...asLast(last), opened: last }], last }
		} catch (error) {
			this.release({ last })
			throw error
		}
	}

	/** Opens only the newest file, which stays open until the caller passes it to {@link release}. */
	holdLast(): Pick<Listing, 'last'> {
		const last = this.#newest()
		this.#kept.add(last)
		return { last }
	}

	/**
	 * Closes the last file of a listing, unless it is the held file or `inUse`. The file `inUse` stays open
	 * until {@link close} closes it.
	 */
	release({ last }: Pick<Listing, 'last'>, inUse?: OpenSegment): void {
		this.#kept.delete(last)
		if (last !== this.held && last !== inUse) closeQuietly(last.system, last.fd)
	}

	/** Lists the current files, oldest first, without keeping any of them open. */
	list(): readonly ChainFile[] {
		const listing = this.hold()
		this.release(listing)
		return [...listing.files.slice(0, -1), asLast(listing.last)]
	}

	/** Whether the path of the chain still refers to the file that was opened. */
	get heldIsLive(): boolean {
		const { system, chainPath, fd } = this.held
		try {
			return isSameFile(system.statSync(chainPath), system.fstatSync(fd))
		} catch (error) {
			if (NOT_THERE.includes(systemCode(error) ?? '')) return false
			throw error
		}
	}

	#filesBefore(last: ChainIdentity): ChainFile[] {
		// No file precedes the first one.
		if (last.segment === 0) return []
		// A file that is sealed after the last file was opened belongs to a later listing.
		const sealed = this.#sealed().filter(({ identity }) => identity.segment < last.segment)
		return sealed.map((segment, index): ChainFile => {
			const next = sealed[index + 1]?.identity ?? last
			const { identity, path } = segment
			const isNextMissing = next.segment !== identity.segment + 1
			const end = isNextMissing ? undefined : this.#endOf(segment, next)
			return { identity, path, end, nextFirstSeq: next.firstSeq, isNextMissing }
		})
	}

	/**
	 * Returns the offset at which the next file takes over, as recorded in the next file. Returns undefined if
	 * the sealed file was repaired later. In that case, the complete file belongs to the chain.
	 */
	#endOf({ identity, bytes, path }: Segment, next: ChainIdentity): number | undefined {
		const end = next.previous?.end
		if (end === undefined || end === bytes) return end
		return endsRepaired(this.held.system, path, bytes, identity) ? undefined : end
	}

	/**
	 * Opens a listed file. Returns undefined if the file was removed, which cannot happen to the last file of
	 * a held listing.
	 */
	async open({ identity, opened }: Pick<ChainFile, 'identity' | 'opened'>): Promise<OpenSegment | undefined> {
		const held = this.held
		if (opened !== undefined) return opened
		if (identity.segment === held.identity.segment) return held
		const path = this.#pathOf(identity.segment)
		if (path === undefined) return undefined
		try {
			const file = await openFile(path, held.chainPath, held.system)
			if (file.identity.segment === identity.segment) return file
			// The file was sealed between the two lookups, and its path now refers to the next file.
			await held.system.close(file.fd)
			return await this.open({ identity })
		} catch (error) {
			if ((error as { code?: unknown }).code === 'CHAIN_NOT_FOUND') return undefined
			throw error
		}
	}

	/** Closes a file that {@link open} opened. */
	async close(file: OpenSegment): Promise<void> {
		if (file !== this.held && !this.#kept.has(file)) await file.system.close(file.fd)
	}

	#sealed(): Segment[] {
		const { system, chainPath, identity } = this.held
		return listSegments(system, chainPath, identity.id)
	}

	/**
	 * Returns the file at the path of the chain if that file belongs to this chain. Otherwise, returns the
	 * newest sealed file or the held file, whichever is newer.
	 */
	#newest(): OpenSegment {
		if (this.heldIsLive) return this.held
		const { chainPath, identity } = this.held
		const live = this.#openNow(chainPath)
		if (live !== undefined) return live
		// Without hard links, there is briefly no file at the path of the live file.
		const sealed = this.#sealed().findLast((segment) => segment.identity.segment > identity.segment)
		return (sealed && this.#openNow(sealed.path)) ?? this.held
	}

	/** Opens the file at `path` if it belongs to this chain and is newer than the held file. */
	#openNow(path: string): OpenSegment | undefined {
		const { system, chainPath, identity } = this.held
		let fd: number | undefined
		try {
			fd = system.openSync(path, O_RDONLY | O_NONBLOCK | (path === chainPath ? 0 : O_NOFOLLOW))
			const named = identifyFile({ system, fd }, path)
			if (sameId(named.id, identity.id) && named.segment > identity.segment) {
				const file = { system, fd, path, chainPath, identity: named }
				fd = undefined
				return file
			}
			return undefined
		} catch (error) {
			// A file that is missing or not a chain can be skipped. Any other error may hide a newer file of this
			// chain.
			if (error instanceof MeshChainError || NOT_THERE.includes(systemCode(error) ?? '')) return undefined
			throw error
		} finally {
			if (fd !== undefined) closeQuietly(system, fd)
		}
	}

	#pathOf(segment: number): string | undefined {
		const sealed = this.#sealed().find(({ identity }) => identity.segment === segment)
		if (sealed !== undefined) return sealed.path
		const live = this.#newest()
		this.release({ last: live })
		return live.identity.segment === segment ? live.path : undefined
	}
}

function asLast({ identity, path }: OpenSegment): ChainFile {
	return { identity, path, end: undefined, nextFirstSeq: undefined, isNextMissing: false }
}
