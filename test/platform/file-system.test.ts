/** The file system of Node behind the project's interface. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { nodeFileSystem } from '../../src/platform/file-system.ts'
import { temporaryFolder } from '../support/temporary.ts'

/** Called before each directory is created, in the way in which another process would interfere. */
let before: (path: string) => void = () => {}

vi.mock('node:fs', async (original) => {
	const real = await original<typeof fs>()
	const mkdirSync = (path: string, ...rest: []) => {
		before(path)
		return real.mkdirSync(path, ...rest)
	}
	return { ...real, mkdirSync, default: { ...real, mkdirSync } }
})

afterEach(() => {
	before = () => {}
})

const { mkdirSync, rmdirSync } = await vi.importActual<typeof fs>('node:fs')
const isDirectory = (path: string) => fs.statSync(path).isDirectory()

test('a directory that another process creates at the same moment is no error', () => {
	const path = join(temporaryFolder(), 'a', 'b', 'c')
	before = (level) => {
		before = level === path ? () => {} : before
		mkdirSync(level, { recursive: true })
	}
	nodeFileSystem.mkdirSync!(path)
	expect(isDirectory(path)).toBe(true)
})

test('a file in the place of a directory is an error', () => {
	const path = join(temporaryFolder(), 'a')
	fs.writeFileSync(path, '')
	expect(() => nodeFileSystem.mkdirSync!(path)).toThrow(expect.objectContaining({ code: 'EEXIST' }))
	expect(() => nodeFileSystem.mkdirSync!(join(path, 'b'))).toThrow(
		expect.objectContaining({ code: 'ENOTDIR' }),
	)
})

test('a parent that another process removes again and again is an error, not an endless loop', () => {
	const parent = join(temporaryFolder(), 'a')
	const path = join(parent, 'b')
	before = (level) => {
		if (level === path && fs.existsSync(parent)) rmdirSync(parent)
	}
	expect(() => nodeFileSystem.mkdirSync!(path)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
})
