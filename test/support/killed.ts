/** Creates the remains of a killed writer: its bytes, and the lock file of a process that is gone. */
import { rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'

/** Makes `path` a chain whose writer was killed, with these bytes and without a watermark. */
export function leaveAsKilled(path: string, bytes: Uint8Array): void {
	writeFileSync(path, bytes)
	rmSync(`${path}.durable`, { force: true })
	leaveLock(path)
}

/** Creates a lock file whose holder is gone; the kernel has freed the lock. */
export function leaveLock(path: string, holder: object = {}): void {
	const text = { kernel: true, pid: 2 ** 22, host: hostname(), sinceMs: 0, threadId: 0, ...holder }
	writeFileSync(`${path}.lock`, JSON.stringify(text))
}
