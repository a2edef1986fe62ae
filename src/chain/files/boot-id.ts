/**
 * Identifies the current boot of the machine. Bytes that were written before the last boot but not synced may
 * be lost.
 */
import type { FileSystem } from '../../platform/file-system.ts'

const UNKNOWN = new Uint8Array(16)

/** Returns the boot id (16 bytes), or zeros if the system has none. */
export function bootId(system: FileSystem): Uint8Array {
	try {
		const text = system.readFileSync('/proc/sys/kernel/random/boot_id').toString().trim()
		const bytes = Buffer.from(text.replaceAll('-', ''), 'hex')
		return bytes.length === UNKNOWN.length ? Uint8Array.from(bytes) : UNKNOWN
	} catch {
		return UNKNOWN
	}
}

/** Returns whether the machine was rebooted between two readings of the boot id. */
export function bootSince(last: Uint8Array | undefined, now: Uint8Array): 'same' | 'changed' | 'unknown' {
	if (last === undefined || isUnknown(last) || isUnknown(now)) return 'unknown'
	return Buffer.compare(last, now) === 0 ? 'same' : 'changed'
}

function isUnknown(id: Uint8Array): boolean {
	return id.every((byte) => byte === 0)
}
