/** Reads files of the repository, for tests of their prose. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { ROOT } from '../support/process.ts'

export interface Document {
	readonly path: string
	readonly text: string
}

/** Returns files whose path matches and that are in the repository, or would be after `git add`. */
export function documents(pattern: RegExp): Document[] {
	const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
		cwd: ROOT,
	})
	return listed
		.toString()
		.split('\n')
		.filter((path) => pattern.test(path) && existsSync(join(ROOT, path)))
		.toSorted()
		.map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
}

/** Returns Markdown without fences and code spans: the words that a person reads. */
export function proseOf(markdown: string): string {
	return markdown
		.replaceAll(/^```[\s\S]*?^```/gm, '')
		.replaceAll(/`[^`\n]*`/g, '')
		.replaceAll(/<!--[\s\S]*?-->/g, '')
}

/** Returns the comments of a TypeScript source, without code spans. */
export function commentsOf(source: string): string {
	const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest)
	const ranges = new Map<number, ts.CommentRange>()
	// Nested nodes share their ends.
	const seen = new Set<number>()
	const add = (position: number) => {
		if (seen.has(position)) return
		seen.add(position)
		const leading = ts.getLeadingCommentRanges(source, position) ?? []
		const trailing = ts.getTrailingCommentRanges(source, position) ?? []
		for (const range of [...leading, ...trailing]) ranges.set(range.pos, range)
	}
	const visit = (node: ts.Node): void => {
		add(node.pos)
		add(node.end)
		ts.forEachChild(node, visit)
	}
	visit(file)
	return [...ranges.values()]
		.map(({ pos, end }) => source.slice(pos, end))
		.join('\n')
		.replaceAll(/^[ \t]*(?:\/\*\*?|\*\/|\*|\/\/)/gm, '')
		.replaceAll(/`[^`\n]*`/g, '')
}
