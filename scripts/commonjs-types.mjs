/**
 * The declarations of the CommonJS build: those of the ES modules, in files that TypeScript treats as
 * CommonJS (`.d.cts`). Part of `npm run build`.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const DIST = join(import.meta.dirname, '..', 'dist')

for (const name of readdirSync(DIST, { recursive: true })) {
	if (!name.endsWith('.d.ts') || name.startsWith('cjs')) continue
	const target = join(DIST, 'cjs', name.replace(/\.d\.ts$/, '.d.cts'))
	mkdirSync(dirname(target), { recursive: true })
	const text = readFileSync(join(DIST, name), 'utf8')
	writeFileSync(target, text.replaceAll(/((?:from|import)\s*\(?\s*['"]\.[^'"]*)\.js(['"])/g, '$1.cjs$2'))
}
