/** Two concurrent benches would disturb each other, so the second one is refused. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MARK = join(import.meta.dirname, '..', '.running')

/** @throws If another bench in this folder is running. */
export function alone(work) {
	const other = runningProcess()
	if (other !== undefined)
		throw new Error(`another bench is running (process ${other}); concurrent benches disturb each other`)
	writeFileSync(MARK, String(process.pid))
	try {
		return work()
	} finally {
		rmSync(MARK, { force: true })
	}
}

function runningProcess() {
	try {
		const id = Number(readFileSync(MARK, 'utf8'))
		process.kill(id, 0)
		return id
	} catch {
		return undefined
	}
}
