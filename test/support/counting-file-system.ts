/** The real file system, with a count of reads, to measure the cost of seeking. */
import { type FileSystem, nodeFileSystem } from '../../src/platform/file-system.ts'

export interface ReadCounts {
	reads: number
	bytes: number
}

export function countingFileSystem(): { readonly system: FileSystem; readonly counts: ReadCounts } {
	const counts = { reads: 0, bytes: 0 }
	const system: FileSystem = {
		...nodeFileSystem,
		read: async (fd, buffer, offset, length, position) => {
			const count = await nodeFileSystem.read(fd, buffer, offset, length, position)
			counts.reads++
			counts.bytes += count
			return count
		},
	}
	return { system, counts }
}
