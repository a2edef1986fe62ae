/** Requires a current build: tests of whole programs run `dist/`, and a stale build would not test `src/`. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

export default function requireBuild(): void {
	const built = newestIn(join(root, 'dist'))
	if (built === 0) throw new Error('dist/ is missing: type `npm run build`')
	if (built < newestIn(join(root, 'src'))) throw new Error('dist/ is older than src/: type `npm run build`')
}

function newestIn(folder: string): number {
	try {
		const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
			entry.isFile(),
		)
		return Math.max(0, ...files.map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs))
	} catch {
		return 0
	}
}
