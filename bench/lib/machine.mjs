/** Describes the machine that produced the figures, without the names of the host or its folders. */
import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { availableParallelism, cpus, release, tmpdir, totalmem, type } from 'node:os'
import { join } from 'node:path'

const FILE_SYSTEMS = new Map([
	[0xef53, 'ext4'],
	[0x9123683e, 'btrfs'],
	[0x58465342, 'xfs'],
	[0x01021994, 'tmpfs'],
	[0x794c7630, 'overlayfs'],
	[0x2fc12fc1, 'zfs'],
])

export function machine() {
	return {
		cpu: cpus()[0]?.model.trim() ?? 'unknown',
		cores: availableParallelism(),
		memoryGiB: Math.round(totalmem() / 2 ** 30),
		node: process.version,
		os: `${type()} ${release()}`,
		fileSystem: FILE_SYSTEMS.get(statfsSync(tmpdir()).type) ?? 'unknown',
	}
}

/** Returns the installed versions of the contenders. */
export function versions(contenders) {
	return Object.fromEntries([...new Set(contenders)].map((name) => [name, versionOf(name)]))
}

/** Reads manifests as files, because not every package exports its manifest. */
function versionOf(name) {
	const root = join(import.meta.dirname, '..', '..')
	const folders = [join(root, 'bench', 'node_modules', name), join(root, 'node_modules', name)]
	const folder = name === 'mesh-chain' ? root : folders.find((path) => existsSync(path))
	return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version
}
