/** The real file system, with a list of open files: an iteration that stops early must not leave any. */
import { type FileSystem, nodeFileSystem } from '../../src/platform/file-system.ts'

export function trackedFileSystem(): {
	readonly system: FileSystem
	readonly open: ReadonlyMap<number, string>
} {
	const open = new Map<number, string>()
	const system: FileSystem = {
		...nodeFileSystem,
		openSync: (path, flags, mode) => {
			const fd = nodeFileSystem.openSync(path, flags, mode)
			open.set(fd, path)
			return fd
		},
		open: async (path, flags) => {
			const fd = await nodeFileSystem.open(path, flags)
			open.set(fd, path)
			return fd
		},
		closeSync: (fd) => {
			open.delete(fd)
			nodeFileSystem.closeSync(fd)
		},
		close: async (fd) => {
			open.delete(fd)
			await nodeFileSystem.close(fd)
		},
	}
	return { system, open }
}
