/** Checks the rules for the structure of src/, as a function over its files. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

/** Folders from top to bottom. Imports run downward only. */
const LAYERS: readonly (readonly string[])[] = [
	['index.ts', 'cli', 'testing'],
	['cluster'],
	['recorder', 'sources', 'journal'],
	['jsonl', 'merge', 'consume'],
	['replay'],
	['loop', 'chain'],
	['appenders'],
	['outbox', 'pretty'],
	['codec'],
	['appender.ts'],
	['plain-text'],
	['model'],
	['guard'],
	['platform'],
	['text'],
]
/** Folders of chain/ from top to bottom. Its index.ts is above all of them. */
const CHAIN_LAYERS: readonly (readonly string[])[] = [
	['index.ts'],
	['verify'],
	['read', 'write'],
	['files'],
	['scan'],
	['format'],
	['.'],
]
/** Folders whose inner files only they themselves import; all others import this file. */
const FRONT_DOORS: Readonly<Record<string, string>> = { 'chain/': 'chain/index.ts' }
/** The only files that may use the streams of a terminal, or its control sequences. */
const PRINTERS = ['cli/main.ts', 'cli/terminal.ts', 'pretty/printable.ts']
const FILE_LINES_MAX = 480

export type SourceFiles = ReadonlyMap<string, string>

/** Returns every source file below a folder, by its path in that folder. */
export function sourceFiles(root: string): SourceFiles {
	const entries = readdirSync(root, { recursive: true, withFileTypes: true })
	const paths = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
	return new Map(
		paths.map((entry) => {
			const path = join(entry.parentPath, entry.name)
			return [relative(root, path), readFileSync(path, 'utf8')]
		}),
	)
}

/** Returns broken rules, one per line. */
export function brokenRules(files: SourceFiles): string[] {
	const broken: string[] = []
	for (const [path, text] of files) {
		const imports = importsOf(path, text)
		broken.push(...imports.flatMap((target) => wrongDirection(path, target)))
		broken.push(...imports.flatMap((target) => aroundFrontDoor(path, target)))
		if (!path.startsWith('cli/') && path !== 'platform/file-system.ts' && /from 'node:fs/.test(text)) {
			broken.push(`${path} imports node:fs: the file system is behind platform/file-system.ts`)
		}
		if (
			!PRINTERS.includes(path) &&
			/\bprocess\.(?:stdout|stderr)\.|\bconsole\.|\\x1b\[/.test(withoutComments(text))
		)
			broken.push(`${path} prints: what reaches a terminal is Printable, and goes through cli/terminal.ts`)
		if (path !== 'platform/diagnostics.ts' && /\bemitWarning\(/.test(text))
			broken.push(`${path} warns: platform/diagnostics.ts does`)
		if (/(^|\/)index\.ts$/.test(path) && /^(?!export |\}|\t|\/\*\*|$)/m.test(text)) {
			broken.push(`${path} defines something: entry files list names`)
		}
		const lines = text.split('\n').length
		if (lines > FILE_LINES_MAX) broken.push(`${path} has ${lines} lines`)
		if (!/^[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(path.split('/').at(-1) ?? ''))
			broken.push(`${path} is not kebab-case`)
	}
	return [...broken, ...cycles(files)]
}

function importsOf(path: string, text: string): string[] {
	const found = text.matchAll(/(?:from|import)\s*\(?'(\.[^']+)'/g)
	return [...found].map(([, specifier]) => normalize(join(dirname(path), specifier ?? '')))
}

function layerOf(path: string, layers: readonly (readonly string[])[]): number {
	const top = path.includes('/') ? (path.split('/')[0] ?? '') : path
	const layer = layers.findIndex((names) => names.includes(top))
	return layer >= 0 ? layer : path.includes('/') ? -1 : layers.length - 1
}

function wrongDirection(path: string, target: string): string[] {
	const tower = 'chain/'
	const isWithin = path.startsWith(tower) && target.startsWith(tower)
	const [layers, from, to] = isWithin
		? [CHAIN_LAYERS, path.slice(tower.length), target.slice(tower.length)]
		: [LAYERS, path, target]
	const [fromLayer, toLayer] = [layerOf(from, layers), layerOf(to, layers)]
	if (fromLayer < 0) return [`${path} is in a folder that is no layer`]
	const isSibling = fromLayer === toLayer && from.split('/')[0] !== to.split('/')[0] && from.includes('/')
	return toLayer < fromLayer || isSibling ? [`${path} imports ${target}: imports run downward only`] : []
}

function aroundFrontDoor(path: string, target: string): string[] {
	const [folder, door] = Object.entries(FRONT_DOORS).find(([folder]) => target.startsWith(folder)) ?? []
	if (folder === undefined || door === undefined || path.startsWith(folder) || target === door) return []
	return [`${path} imports ${target}: outside ${folder} only ${door} is imported`]
}

/** Finds cycles of value imports. Type imports may form cycles. */
function cycles(files: SourceFiles): string[] {
	const done = new Set<string>()
	const found: string[] = []
	const visit = (path: string, trail: readonly string[]): void => {
		if (trail.includes(path)) {
			found.push(`imports go in a circle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`)
			return
		}
		if (done.has(path)) return
		const text = (files.get(path) ?? '')
			.replaceAll(/^import type .*$/gm, '')
			.replaceAll(/^import type \{[^}]*\}.*$/gm, '')
		for (const target of importsOf(path, text)) visit(target, [...trail, path])
		done.add(path)
	}
	for (const path of files.keys()) visit(path, [])
	return found
}

function withoutComments(text: string): string {
	return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/\/\/.*$/gm, '')
}
