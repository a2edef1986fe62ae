/**
 * The files of a chain as a reader meets them: the one it opened, and those that were sealed before it or have come since. A writer
 * seals, renames and removes them meanwhile; none of that hides a record or shows one twice.
 */
import { closeQuietly, isSameFile, O_NONBLOCK, O_RDONLY, systemCode } from '../../file-system.ts'
import { endsRepaired, identifyFile, listSegments, type Segment, sameId } from '../files/segments.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import type { OpenFile } from '../scan/walk.ts'
import { openFile } from './open-file.ts'

/** One file of a chain, opened when it is its turn. */
export interface ChainFile {
	readonly identity: ChainIdentity
	/** Where it was when it was listed. */
	readonly path: string
	/** How far it counts: what stands behind is superseded by the next file. Undefined for all of it. */
	readonly end: number | undefined
	/** The seq with which the next file begins; undefined for the last. */
	readonly nextFirstSeq: number | undefined
}

export class ChainFiles {
	/** Stays open as long as the chain is read, whatever becomes of its name. */
	readonly held: OpenFile

	constructor(held: OpenFile) {
		this.held = held
	}

	/** As they are now, oldest first; the last is the live one. */
	list(): ChainFile[] {
		const live = this.#live()
		// What is sealed after the look at the live file belongs to a later look.
		const sealed = this.#sealed().filter(({ identity }) => identity.segment < live.segment)
		const listed = sealed.map((segment, index): ChainFile => {
			const next = sealed[index + 1]?.identity ?? live
			const { identity, path } = segment
			return { identity, path, end: this.#endOf(segment, next), nextFirstSeq: next.firstSeq }
		})
		return [...listed, { identity: live, path: this.held.chainPath, end: undefined, nextFirstSeq: undefined }]
	}

	/** How far a sealed file counts: as the next one says, unless it was repaired since. */
	#endOf({ identity, bytes, path }: Segment, next: ChainIdentity): number | undefined {
		if (next.segment !== identity.segment + 1) return undefined
		const end = next.previous?.end
		if (end === undefined || end === bytes) return end
		return endsRepaired(this.held.system, path, bytes, identity) ? undefined : end
	}

	/** The file, open; undefined when retention has removed it meanwhile. */
	async open({ identity }: Pick<ChainFile, 'identity'>): Promise<OpenFile | undefined> {
		const held = this.held
		if (identity.segment === held.identity.segment) return held
		const path = this.#pathOf(identity.segment)
		if (path === undefined) return undefined
		try {
			const file = await openFile(path, held.chainPath, held.system)
			if (file.identity.segment === identity.segment) return file
			// It was sealed between the two looks: its name leads to the next one by now.
			await held.system.close(file.fd)
			return await this.open({ identity })
		} catch (error) {
			if ((error as { code?: unknown }).code === 'CHAIN_NOT_FOUND') return undefined
			throw error
		}
	}

	/** Closes a file that {@link open} opened. */
	async close(file: OpenFile): Promise<void> {
		if (file !== this.held) await file.system.close(file.fd)
	}

	#sealed(): Segment[] {
		const { system, chainPath, identity } = this.held
		// Nothing can stand before the first file but what came after it: then the live one is another.
		if (identity.segment === 0 && this.#heldIsLive()) return []
		return listSegments(system, chainPath, identity.id)
	}

	#heldIsLive(): boolean {
		const { system, chainPath, fd } = this.held
		try {
			return isSameFile(system.statSync(chainPath), system.fstatSync(fd))
		} catch (error) {
			if (systemCode(error) === 'ENOENT') return false
			throw error
		}
	}

	/** The file that the name of the chain leads to, if it is one of this chain; otherwise the one that is held. */
	#live(): ChainIdentity {
		const { system, chainPath, identity } = this.held
		if (this.#heldIsLive()) return identity
		let fd: number | undefined
		try {
			fd = system.openSync(chainPath, O_RDONLY | O_NONBLOCK)
			const named = identifyFile(system, fd, chainPath)
			return sameId(named.id, identity.id) && named.segment > identity.segment ? named : identity
		} catch {
			return identity
		} finally {
			if (fd !== undefined) closeQuietly(system, fd)
		}
	}

	#pathOf(segment: number): string | undefined {
		const sealed = this.#sealed().find(({ identity }) => identity.segment === segment)
		return sealed?.path ?? (this.#live().segment === segment ? this.held.chainPath : undefined)
	}
}
