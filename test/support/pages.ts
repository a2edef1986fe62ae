/** Reads the Markdown pages for users. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './process.ts'

export interface Fence {
	/** First word after the backticks; empty if there is none. */
	readonly language: string
	/** The other words: `excerpt` marks a block that is not a whole program. */
	readonly words: readonly string[]
	readonly code: string
	readonly line: number
}

/** Returns every Markdown file of the repository, by its path. */
export function markdownFiles(): string[] {
	const args = ['ls-files', '--cached', '--others', '--exclude-standard', '*.md']
	const paths = execFileSync('git', args, { cwd: ROOT }).toString().split('\n').filter(Boolean)
	return [...new Set(paths)].filter((path) => !path.startsWith('bench/results/quick')).toSorted()
}

export function readPage(path: string): string {
	return readFileSync(join(ROOT, path), 'utf8')
}

/** Returns the fenced blocks of a page, including those in lists. */
export function fencesOf(text: string): Fence[] {
	const blocks = text.matchAll(/^( *)```(\S*)([^\n]*)\n([\s\S]*?)^\1```$/gm)
	return [...blocks].map(({ index, 1: indent = '', 2: language = '', 3: rest = '', 4: body = '' }) => ({
		language,
		words: rest.split(' ').filter(Boolean),
		code: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
		line: text.slice(0, index).split('\n').length,
	}))
}

/** Returns the text of a page without its code. */
export function proseOf(text: string): string {
	return text.replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '').replaceAll(/`[^`\n]*`/g, '')
}

/** Returns the anchors of a page's headings, as GitHub and the site generate them. */
export function anchorsOf(text: string): Set<string> {
	const anchors = new Set<string>()
	const withoutCode = text.replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '')
	for (const [, heading = ''] of withoutCode.matchAll(/^#{1,6} (.+)$/gm)) {
		const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[`*]/g, '')
		const base = plain
			.trim()
			.toLowerCase()
			.replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
			.replaceAll(' ', '-')
		let anchor = base
		for (let number = 1; anchors.has(anchor); number++) anchor = `${base}-${number}`
		anchors.add(anchor)
	}
	return anchors
}

/** Returns the targets of links and pictures, unchanged. */
export function linksOf(text: string): string[] {
	return [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '')
}
