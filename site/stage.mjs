/**
 * Copies the pages of the repository into .pages/, where VitePress finds its own modules: every Markdown file that git knows, a README as
 * the index of its folder, and the files that pages link to as they are.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const PAGES = join(import.meta.dirname, '.pages')
/** Files that pages link to and that are not pages. */
const LINKED = ['LICENSE', 'examples', 'bench/results/full.svg', 'test/interop/read_chain.py']

function listed(...patterns) {
	return execFileSync('git', ['ls-files', '--', ...patterns], { cwd: ROOT })
		.toString()
		.split('\n')
		.filter(Boolean)
}

rmSync(PAGES, { recursive: true, force: true })
for (const path of listed('*.md')) {
	const text = readFileSync(join(ROOT, path), 'utf8')
	const target = join(PAGES, path.replace(/README\.md$/, 'index.md'))
	mkdirSync(dirname(target), { recursive: true })
	writeFileSync(
		target,
		text.replaceAll(/^<!--.*-->\n/gm, '').replaceAll(/(\]\([^)\s]*)README\.md/g, '$1index.md'),
	)
}
for (const path of listed(...LINKED)) {
	if (path.endsWith('.md')) continue
	const target = join(PAGES, 'public', path)
	mkdirSync(dirname(target), { recursive: true })
	cpSync(join(ROOT, path), target)
}
