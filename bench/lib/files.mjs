/** Measures the output of a contender, which is a file or a folder of files. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

export function bytesUnder(path) {
	const stat = statSync(path)
	if (!stat.isDirectory()) return stat.size
	return readdirSync(path).reduce((sum, name) => sum + bytesUnder(join(path, name)), 0)
}
