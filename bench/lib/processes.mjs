/**
 * Runs each measurement in a separate process, so it does not inherit compiled code, a heap or open files.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** A measurement that takes longer is considered hung. */
const LONGEST_MS = 180_000

const CHILDREN = join(import.meta.dirname, '..', 'children')

/**
 * Runs `children/NAME.mjs` with a job, and returns the line of JSON that it printed. `job.node` contains
 * options for Node, and `job.env` additional environment variables.
 *
 * @throws If the child fails, or if the data that it read back differs from the data that it wrote.
 */
export function runChild(name, job) {
	const { status, signal, stdout, stderr } = spawn(name, job)
	if (status === 0) return JSON.parse(stdout)
	throw new Error(`${job.name ?? name} failed (${signal ?? `status ${status}`}):\n${stderr}`)
}

/** Runs a child that kills itself at the end of its work. Returns its output, if any. */
export function runUntilKilled(name, job) {
	const { signal, stdout, stderr } = spawn(name, job)
	if (signal !== 'SIGKILL') throw new Error(`${job.name ?? name} ended before it was killed: ${stderr}`)
	return stdout === '' ? undefined : JSON.parse(stdout)
}

function spawn(name, job) {
	const { node = [], env = {} } = job
	const args = ['--expose-gc', ...node, join(CHILDREN, `${name}.mjs`), JSON.stringify(job)]
	return spawnSync(process.execPath, args, {
		encoding: 'utf8',
		env: { ...process.env, ...env },
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
