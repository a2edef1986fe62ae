/** Which boot of the machine this is: what was not synced before the last one may be gone. */
import type { FileSystem } from '../../platform/file-system.ts'

const UNKNOWN = new Uint8Array(16)

/** 16 bytes; zeros where the system has no such id. */
export function bootId(system: FileSystem): Uint8Array {
	try {
		const text = system.readFileSync('/proc/sys/kernel/random/boot_id').toString().trim()
		const bytes = Buffer.from(text.replaceAll('-', ''), 'hex')
		return bytes.length === UNKNOWN.length ? Uint8Array.from(bytes) : UNKNOWN
	} catch {
		return UNKNOWN
	}
}

/** Whether the machine was booted between two of these. */
export function bootSince(last: Uint8Array | undefined, now: Uint8Array): 'same' | 'changed' | 'unknown' {
	if (last === undefined || isUnknown(last) || isUnknown(now)) return 'unknown'
	return Buffer.compare(last, now) === 0 ? 'same' : 'changed'
}

function isUnknown(id: Uint8Array): boolean {
	return id.every((byte) => byte === 0)
}
