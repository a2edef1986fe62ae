/** Expands a pattern for paths, for shells that do not expand it, and for patterns in quotes. */
import { join, parse } from 'node:path'
import { type FileSystem, nodeFileSystem, systemCode } from './file-system.ts'

/** The parts of a pattern that have a meaning: `*`, `?`, and `{pid}` for the id of a process. */
const SPECIAL = /\*|\?|\{pid\}/

/** Returns whether a path contains part of a pattern. */
export function isPathPattern(path: string): boolean {
	return SPECIAL.test(path)
}

/**
 * Returns the paths that match a pattern, sorted by name. `*` stands for any characters of one name, `?` for
 * one character, and `{pid}` for a number. A name that starts with a dot matches only a pattern that does.
 * Folders that cannot be read contain nothing.
 */
export function matchingPaths(pattern: string, system: FileSystem = nodeFileSystem): string[] {
	const { root } = parse(pattern)
	let paths = [root]
	for (const name of pattern
		.slice(root.length)
		.split('/')
		.filter((part) => part !== '')) {
		paths = paths.flatMap((path) => (isPathPattern(name) ? entries(system, path, name) : [join(path, name)]))
	}
	return paths.filter((path) => exists(system, path))
}

function entries(system: FileSystem, folder: string, pattern: string): string[] {
	const expression = new RegExp(
		`^${pattern
			.split(/(\*|\?|\{pid\})/)
			.map(expressionOf)
			.join('')}$`,
		'su',
	)
	try {
		return system
			.readdirSync(folder === '' ? '.' : folder)
			.filter((name) => expression.test(name) && (pattern.startsWith('.') || !name.startsWith('.')))
			.sort()
			.map((name) => (folder === '' ? name : join(folder, name)))
	} catch {
		return []
	}
}

function expressionOf(part: string): string {
	if (part === '*') return '.*'
	if (part === '?') return '.'
	if (part === '{pid}') return '\\d+'
	return part.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

function exists(system: FileSystem, path: string): boolean {
	try {
		system.statSync(path)
		return true
	} catch (error) {
		return systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ENOTDIR'
	}
}
