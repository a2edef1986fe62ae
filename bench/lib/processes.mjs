/** Measurements in processes of their own: none inherits another's compiled code, heap or open files. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** No measurement takes nearly as long: one that does hangs. */
const LONGEST_MS = 180_000

const CHILDREN = join(import.meta.dirname, '..', 'children')

/**
 * Runs `children/NAME.mjs` with a job, and returns the line of JSON that it printed.
 * @throws when it fails, or when what it read back is not what it wrote
 */
export function runChild(name, job) {
	const { status, signal, stdout, stderr } = spawn(name, job)
	if (status === 0) return JSON.parse(stdout)
	throw new Error(`${job.name ?? name} failed (${signal ?? `status ${status}`}):\n${stderr}`)
}

/** Runs one that kills itself at the end of its work; returns what it printed before, if anything. */
export function runUntilKilled(name, job) {
	const { signal, stdout, stderr } = spawn(name, job)
	if (signal !== 'SIGKILL') throw new Error(`${job.name ?? name} ended before it was killed: ${stderr}`)
	return stdout === '' ? undefined : JSON.parse(stdout)
}

function spawn(name, job) {
	const args = ['--expose-gc', join(CHILDREN, `${name}.mjs`), JSON.stringify(job)]
	return spawnSync(process.execPath, args, {
		encoding: 'utf8',
		stdio: ['ignore', 'pipe', 'pipe'],
		timeout: LONGEST_MS,
	})
}

export function emptyFolder(parent, name) {
	const folder = join(parent, name)
	rmSync(folder, { recursive: true, force: true })
	mkdirSync(folder, { recursive: true })
	return folder
}
