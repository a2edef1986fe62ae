/**
 * The files of a chain as a reader finds them: the one it opened, and those that were sealed before it or
 * made later. A writer seals, renames and removes files meanwhile; none of that hides a record or shows one
 * twice.
 *
 * Invariant: a walk over files that were listed can always be finished. The last of them stays open from the
 * moment it is listed, and of any other one that is gone when it is its turn, the next one says where it
 * ended.
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

/** One file of a chain, opened when it is its turn. */
export interface ChainFile {
	readonly identity: ChainIdentity
	/** Where it was when it was listed. */
	readonly path: string
	/** How far it counts: the next file supersedes the rest. Undefined for all of it. */
	readonly end: number | undefined
	/** The seq with which the next file begins; undefined for the last. */
	readonly nextFirstSeq: number | undefined
	/** A file between this one and the next is missing. */
	readonly isNextMissing: boolean
	/** The file, where it is open already: the last one of a listing that is held. */
	readonly opened?: OpenSegment
}

/** The files of a chain at one moment, oldest first. */
export interface Listing {
	readonly files: readonly ChainFile[]
	/** The last of them, open. */
	readonly last: OpenSegment
}

export class ChainFiles {
	/** Stays open as long as the chain is read, whatever becomes of its name. */
	readonly held: OpenSegment
	/** The last files of listings that are held. */
	readonly #kept = new Set<OpenSegment>()

	constructor(held: OpenSegment) {
		this.held = held
	}

	/** As they are now; the last is the live one. The caller {@link release}s it. */
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

	/** The last of them alone. The caller {@link release}s it. */
	holdLast(): Pick<Listing, 'last'> {
		const last = this.#newest()
		this.#kept.add(last)
		return { last }
	}

	/** Lets go of the last file, unless `inUse` is that one: then it is closed like any other. */
	release({ last }: Pick<Listing, 'last'>, inUse?: OpenSegment): void {
		this.#kept.delete(last)
		if (last !== this.held && last !== inUse) closeQuietly(last.system, last.fd)
	}

	/** As they are now, oldest first, none of them open. */
	list(): readonly ChainFile[] {
		const listing = this.hold()
		this.release(listing)
		return [...listing.files.slice(0, -1), asLast(listing.last)]
	}

	/** Whether the name of the chain leads to the file that it was opened with. */
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
		// No file precedes the first.
		if (last.segment === 0) return []
		// What is sealed after the look at the last file belongs to a later look.
		const sealed = this.#sealed().filter(({ identity }) => identity.segment < last.segment)
		return sealed.map((segment, index): ChainFile => {
			const next = sealed[index + 1]?.identity ?? last
			const { identity, path } = segment
			const isNextMissing = next.segment !== identity.segment + 1
			const end = isNextMissing ? undefined : this.#endOf(segment, next)
			return { identity, path, end, nextFirstSeq: next.firstSeq, isNextMissing }
		})
	}

	/** How far a sealed file counts: as the next one says, unless it was repaired since. */
	#endOf({ identity, bytes, path }: Segment, next: ChainIdentity): number | undefined {
		const end = next.previous?.end
		if (end === undefined || end === bytes) return end
		return endsRepaired(this.held.system, path, bytes, identity) ? undefined : end
	}

	/**
	 * The file, open; undefined when retention has removed it meanwhile, which cannot be with the last one of a
	 * listing that is held.
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
			// It was sealed between the two looks, and its name leads to the next file now.
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
	 * The file that the name of the chain leads to, if it is one of this chain; otherwise the newest one that
	 * has a name, or is held.
	 */
	#newest(): OpenSegment {
		if (this.heldIsLive) return this.held
		const { chainPath, identity } = this.held
		const live = this.#openNow(chainPath)
		if (live !== undefined) return live
		// Without hard links, the name of the live file leads nowhere for a moment.
		const sealed = this.#sealed().findLast((segment) => segment.identity.segment > identity.segment)
		return (sealed && this.#openNow(sealed.path)) ?? this.held
	}

	/** A file of this chain that is newer than the one that is held. */
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
			// Only what is known not to be a file of this chain may be passed over.
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
