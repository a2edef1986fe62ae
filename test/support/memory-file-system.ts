/**
 * A file system in memory that models what a power loss may leave. Of each file: the synced content, with any
 * subset of the unsynced sectors and with the old or the new size. Of each directory: the synced entries,
 * with any subset of the unsynced changes.
 */
import type { FileStat, FileSystem } from '../../src/platform/file-system.ts'

export const SECTOR_BYTES = 512
const BLOCK_BYTES = 4096
const O_CREAT = 0o100
const O_EXCL = 0o200
const O_APPEND = 0o2000
const DIRECTORY = Symbol('directory')

interface Inode {
	readonly ino: number
	bytes: Buffer
	durable: Buffer
	/** Sectors written since the last sync. */
	readonly dirty: Set<number>
}

type DirectoryChange =
	| { readonly type: 'set'; readonly path: string; readonly inode: Inode }
	| { readonly type: 'rename'; readonly from: string; readonly to: string; readonly inode: Inode }
	| { readonly type: 'remove'; readonly path: string }

/** The state at a moment when a crash could happen. */
export interface CrashPoint {
	readonly operation: string
	/** Number of independent bits that a power loss keeps or loses. */
	readonly bits: number
	/** Returns the file system after a power loss that kept the bits for which `keeps` is true. */
	afterPowerLoss(keeps: (bit: number) => boolean): MemoryFileSystem
	/** Returns the file system after the process was killed, which keeps everything. */
	afterKill(): MemoryFileSystem
}

export class MemoryFileSystem implements FileSystem {
	readonly #names = new Map<string, Inode>()
	readonly #durableNames = new Map<string, Inode>()
	readonly #changes: DirectoryChange[] = []
	readonly #open = new Map<number, Inode | typeof DIRECTORY>()
	readonly #locked = new Map<number, Inode>()
	/** Descriptors opened in append mode. */
	readonly #appending = new Set<number>()
	#nextFd = 100
	#nextIno = 1
	readonly #bootId: string
	/**
	 * Capacity of all files together, in blocks of {@link BLOCK_BYTES}: beyond it, a write is short, and then
	 * fails.
	 */
	capacity = Number.POSITIVE_INFINITY
	/** Called after every operation that changes something. */
	onOperation: ((operation: string) => void) | undefined

	constructor(boot = 1) {
		this.#bootId = `00000000-0000-4000-8000-${String(boot).padStart(12, '0')}`
	}

	get boot(): number {
		return Number(this.#bootId.slice(-12))
	}

	/** Adds a file that is on disk. */
	put(path: string, bytes: Uint8Array): void {
		const inode = this.#newInode(Buffer.from(bytes))
		inode.durable = Buffer.from(bytes)
		this.#names.set(path, inode)
		this.#durableNames.set(path, inode)
	}

	get(path: string): Buffer {
		return Buffer.from(this.#inodeAt(path).bytes)
	}

	get paths(): string[] {
		return [...this.#names.keys()]
	}

	crashPoint(operation: string): CrashPoint {
		const copies = new Map<Inode, Inode>()
		const copyOf = (inode: Inode): Inode => {
			let copy = copies.get(inode)
			if (copy === undefined) {
				const { ino, bytes, durable, dirty } = inode
				copy = { ino, bytes: Buffer.from(bytes), durable: Buffer.from(durable), dirty: new Set(dirty) }
				copies.set(inode, copy)
			}
			return copy
		}
		const names = new Map([...this.#names].map(([path, inode]) => [path, copyOf(inode)]))
		const durableNames = new Map([...this.#durableNames].map(([path, inode]) => [path, copyOf(inode)]))
		const changes = this.#changes.map((change) =>
			change.type === 'remove' ? change : { ...change, inode: copyOf(change.inode) },
		)
		const inodes = [...copies.values()]
		const sectors = inodes.flatMap((inode) => [...inode.dirty].map((sector) => ({ inode, sector })))
		const sizes = inodes.filter(({ bytes, durable }) => bytes.length !== durable.length)
		const { boot } = this
		return {
			operation,
			bits: sectors.length + sizes.length + changes.length,
			afterKill: () => rebuilt(boot, names, (inode) => inode.bytes),
			afterPowerLoss(keeps) {
				const keptSizes = new Set(sizes.filter((_inode, index) => keeps(sectors.length + index)))
				const contents = new Map<Inode, Buffer>()
				for (const inode of inodes) {
					const size = keptSizes.has(inode) ? inode.bytes.length : inode.durable.length
					const content = Buffer.alloc(size)
					inode.durable.copy(content)
					contents.set(inode, content)
				}
				for (const [index, { inode, sector }] of sectors.entries()) {
					if (!keeps(index)) continue
					const start = sector * SECTOR_BYTES
					inode.bytes.copy(contents.get(inode)!, start, start, start + SECTOR_BYTES)
				}
				const left = new Map(durableNames)
				for (const [index, change] of changes.entries()) {
					if (!keeps(sectors.length + sizes.length + index)) continue
					if (change.type === 'remove') left.delete(change.path)
					else if (change.type === 'set') left.set(change.path, change.inode)
					else {
						left.delete(change.from)
						left.set(change.to, change.inode)
					}
				}
				return rebuilt(boot + 1, left, (inode) => contents.get(inode)!)
			},
		}
	}

	openSync(path: string, flags: number): number {
		if (this.#isDirectory(path)) return this.#newFd(DIRECTORY)
		let inode = this.#names.get(path)
		if (inode === undefined) {
			if ((flags & O_CREAT) === 0) throw failure('ENOENT', path)
			inode = this.#newInode(Buffer.alloc(0))
			this.#names.set(path, inode)
			this.#changes.push({ type: 'set', path, inode })
			this.#did(`create ${path}`)
		} else if ((flags & O_EXCL) !== 0) throw failure('EEXIST', path)
		const fd = this.#newFd(inode)
		if ((flags & O_APPEND) !== 0) this.#appending.add(fd)
		return fd
	}

	closeSync(fd: number): void {
		if (!this.#open.delete(fd)) throw failure('EBADF', String(fd))
		this.#locked.delete(fd)
		this.#appending.delete(fd)
	}

	readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
		const { bytes } = this.#file(fd)
		if (position >= bytes.length) return 0
		return bytes.copy(buffer, offset, position, Math.min(bytes.length, position + length))
	}

	writeSync(fd: number, buffer: Uint8Array, offset: number, wanted: number, place: number | null): number {
		const inode = this.#file(fd)
		// As on Linux, append mode ignores the position.
		const position = this.#appending.has(fd) ? inode.bytes.length : place
		if (position === null) throw failure('EINVAL', 'a write has no position')
		const length = Math.min(wanted, this.#roomIn(inode) - position)
		if (length <= 0 && wanted > 0) throw failure('ENOSPC', 'write')
		this.#resize(inode, Math.max(inode.bytes.length, position + length))
		inode.bytes.set(buffer.subarray(offset, offset + length), position)
		for (let at = position; at < position + length; at += SECTOR_BYTES - (at % SECTOR_BYTES)) {
			inode.dirty.add(Math.floor(at / SECTOR_BYTES))
		}
		this.#did('write')
		return length
	}

	/** Bytes of all files that have a name or are open. */
	get usedBytes(): number {
		const open = [...this.#open.values()].filter((inode) => inode !== DIRECTORY)
		const inodes = new Set([...this.#names.values(), ...open])
		return [...inodes].reduce((sum, { bytes }) => sum + blocksOf(bytes.length), 0)
	}

	/** Returns the maximum size of a file: bytes already allocated to it can always be written. */
	#roomIn(inode: Inode): number {
		if (this.capacity === Number.POSITIVE_INFINITY) return this.capacity
		const allocated = blocksOf(inode.bytes.length)
		return allocated + Math.max(0, Math.floor((this.capacity - this.usedBytes) / BLOCK_BYTES)) * BLOCK_BYTES
	}

	fstatSync(fd: number): FileStat {
		const inode = this.#open.get(fd)
		if (inode === undefined) throw failure('EBADF', String(fd))
		return inode === DIRECTORY ? statOf(undefined, 1) : this.#statOf(inode)
	}

	statSync(path: string): FileStat {
		return this.#isDirectory(path) ? statOf(undefined, 1) : this.#statOf(this.#inodeAt(path))
	}

	ftruncateSync(fd: number, length: number): void {
		this.#resize(this.#file(fd), length)
		this.#did('truncate')
	}

	fsyncSync(fd: number): void {
		const inode = this.#open.get(fd)
		if (inode === DIRECTORY) {
			this.#durableNames.clear()
			for (const [path, each] of this.#names) this.#durableNames.set(path, each)
			this.#changes.length = 0
		} else {
			const file = this.#file(fd)
			file.durable = Buffer.from(file.bytes)
			file.dirty.clear()
		}
		this.#did('sync')
	}

	fdatasyncSync(fd: number): void {
		this.fsyncSync(fd)
	}

	linkSync(existingPath: string, newPath: string): void {
		const inode = this.#inodeAt(existingPath)
		if (this.#names.has(newPath)) throw failure('EEXIST', newPath)
		this.#names.set(newPath, inode)
		this.#changes.push({ type: 'set', path: newPath, inode })
		this.#did(`link ${newPath}`)
	}

	renameSync(oldPath: string, newPath: string): void {
		const inode = this.#inodeAt(oldPath)
		this.#names.delete(oldPath)
		this.#names.set(newPath, inode)
		this.#changes.push({ type: 'rename', from: oldPath, to: newPath, inode })
		this.#did(`rename ${newPath}`)
	}

	unlinkSync(path: string): void {
		this.#inodeAt(path)
		this.#names.delete(path)
		this.#changes.push({ type: 'remove', path })
		this.#did(`unlink ${path}`)
	}

	realpathSync(path: string): string {
		return path
	}

	readdirSync(path: string): string[] {
		const prefix = `${path}/`
		return this.paths.filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length))
	}

	readFileSync(path: string): Buffer {
		if (path.endsWith('/boot_id')) return Buffer.from(this.#bootId)
		return Buffer.from(this.#inodeAt(path).bytes)
	}

	lockSync(fd: number): 'taken' | 'held' {
		const inode = this.#file(fd)
		if ([...this.#locked.values()].includes(inode)) return 'held'
		this.#locked.set(fd, inode)
		return 'taken'
	}

	async open(path: string, flags: number): Promise<number> {
		return this.openSync(path, flags)
	}

	async close(fd: number): Promise<void> {
		this.closeSync(fd)
	}

	async read(
		fd: number,
		buffer: Uint8Array,
		offset: number,
		length: number,
		position: number,
	): Promise<number> {
		return this.readSync(fd, buffer, offset, length, position)
	}

	async fstat(fd: number): Promise<FileStat> {
		return this.fstatSync(fd)
	}

	async fdatasync(fd: number): Promise<void> {
		this.fdatasyncSync(fd)
	}

	watch(): () => void {
		return () => {}
	}

	#statOf(inode: Inode): FileStat {
		return statOf(inode, [...this.#names.values()].filter((each) => each === inode).length)
	}

	#did(operation: string): void {
		this.onOperation?.(operation)
	}

	#newInode(bytes: Buffer): Inode {
		return { ino: this.#nextIno++, bytes, durable: Buffer.alloc(0), dirty: new Set() }
	}

	#newFd(inode: Inode | typeof DIRECTORY): number {
		this.#open.set(++this.#nextFd, inode)
		return this.#nextFd
	}

	#file(fd: number): Inode {
		const inode = this.#open.get(fd)
		if (inode === undefined || inode === DIRECTORY) throw failure('EBADF', String(fd))
		return inode
	}

	#inodeAt(path: string): Inode {
		const inode = this.#names.get(path)
		if (inode === undefined) throw failure('ENOENT', path)
		return inode
	}

	#isDirectory(path: string): boolean {
		return path === '/' || !path.slice(path.lastIndexOf('/') + 1).includes('.')
	}

	#resize(inode: Inode, size: number): void {
		if (size === inode.bytes.length) return
		const resized = Buffer.alloc(size)
		inode.bytes.copy(resized)
		inode.bytes = resized
	}
}

function blocksOf(bytes: number): number {
	return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

function rebuilt(
	boot: number,
	names: Map<string, Inode>,
	contentOf: (inode: Inode) => Buffer,
): MemoryFileSystem {
	const system = new MemoryFileSystem(boot)
	const first = new Map<Inode, string>()
	for (const [path, inode] of names) {
		const known = first.get(inode)
		if (known === undefined) {
			system.put(path, contentOf(inode))
			first.set(inode, path)
		} else system.linkSync(known, path)
	}
	const fd = system.openSync('/', 0)
	system.fsyncSync(fd)
	system.closeSync(fd)
	return system
}

function statOf(inode: Inode | undefined, nlink: number): FileStat {
	return {
		size: inode?.bytes.length ?? 0,
		ino: inode?.ino ?? 0,
		dev: 1,
		mode: 0o100600,
		nlink,
		isFile: () => inode !== undefined,
		isDirectory: () => inode === undefined,
	}
}

function failure(code: string, what: string): Error {
	return Object.assign(new Error(`${code}: ${what}`), { code })
}
