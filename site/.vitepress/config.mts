/**
 * The site: the same Markdown files that the repository has, with navigation and a local search. `npm run docs` builds it.
 *
 * The API reference is among those files; a test keeps it equal to the docstrings of src/.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')

interface Item {
	readonly text: string
	readonly link: string
}

/** The pages of a folder of docs/, by their first headings. */
function pagesOf(folder: string): Item[] {
	return readdirSync(join(root, 'docs', folder))
		.filter((name) => name.endsWith('.md'))
		.toSorted((a, b) => Number(b === 'index.md') - Number(a === 'index.md') || a.localeCompare(b))
		.map((name) => ({
			text: /^# (.+)$/m.exec(readFileSync(join(root, 'docs', folder, name), 'utf8'))?.[1] ?? name,
			link: `/docs/${join(folder, name.replace(/(?:index)?\.md$/, ''))}`,
		}))
}

export default defineConfig({
	title: 'mesh-chain',
	description: 'An event bus for Node.js services that keeps every event in a crash-safe, verifiable file.',
	srcDir: '.pages',
	// Files of public/, which stage.mjs fills.
	ignoreDeadLinks: [/LICENSE$/, /\.(?:ts|mjs|py|svg)$/],
	// Prose may hold `<first seq>` outside of code.
	markdown: { html: false },
	themeConfig: {
		search: { provider: 'local' },
		outline: [2, 3],
		nav: [
			{ text: 'Tutorial', link: '/docs/tutorial' },
			{ text: 'Guides', link: '/docs/how-to/' },
			{ text: 'API', link: '/docs/reference/api/' },
			{ text: 'Guarantees', link: '/docs/guarantees/' },
		],
		sidebar: [
			{
				text: 'Learn',
				items: [
					{ text: 'Overview', link: '/' },
					{ text: 'Tutorial', link: '/docs/tutorial' },
					{ text: 'Examples', link: '/examples/' },
				],
			},
			{ text: 'How to', items: pagesOf('how-to') },
			{
				text: 'Reference',
				collapsed: true,
				items: [
					...pagesOf('reference'),
					...pagesOf('reference/api'),
					{ text: 'File format', link: '/docs/FORMAT' },
					{ text: 'Glossary', link: '/docs/glossary' },
				],
			},
			{ text: 'Guarantees', collapsed: true, items: pagesOf('guarantees') },
			{
				text: 'Explanation',
				collapsed: true,
				items: [...pagesOf('explanation'), { text: 'How it is tested', link: '/docs/testing' }],
			},
			{
				text: 'Project',
				items: [
					{ text: 'Changelog', link: '/CHANGELOG' },
					{ text: 'Contributing', link: '/CONTRIBUTING' },
					{ text: 'Security', link: '/SECURITY' },
				],
			},
		],
	},
})
