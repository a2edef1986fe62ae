/** What a writer says of what it cannot do. */
import { LogAppendError, MeshChainError, messageOf } from '../../errors.ts'
import { show } from '../../record.ts'
import type { Stray } from './ownership.ts'

export function takenOver(path: string, nextSeq: number, { what, records }: Stray): MeshChainError {
	return new MeshChainError(
		'CHAIN_TAKEN_OVER',
		`${show(path)} ${what} while this writer had it open: ${records} records that it took over are not in the chain, nor will be what it publishes from now on; stop this process`,
		{ path, seq: nextSeq - records },
	)
}

/** @param seq the first that is not on disk. */
export function syncFailed(path: string, seq: number, cause: unknown): MeshChainError {
	return new MeshChainError(
		'SYNC_FAILED',
		`${show(path)} could not be synced: ${messageOf(cause)}; records from seq ${seq} on may not survive a power loss until the chain has gone on in a new file: look at the disk`,
		{ path, seq, cause },
	)
}

export function writeFailed(
	path: string,
	{ writtenSeq, pendingRecords }: { readonly writtenSeq: number; readonly pendingRecords: number },
	offset: number,
	cause: unknown,
): MeshChainError {
	const seq = writtenSeq + 1
	const text = `cannot write to ${show(path)}: ${messageOf(cause)}; ${pendingRecords} records wait, from seq ${seq} on`
	return new MeshChainError('WRITE_FAILED', text, { path, offset, seq, cause })
}

export function notRotated(path: string, cause: unknown): MeshChainError {
	const text = `${show(path)} is full and could not be replaced: ${messageOf(cause)}; the chain goes on in the file it has, and will try again`
	return new MeshChainError('ROTATION_FAILED', text, { path, cause })
}

export function notUnlocked(path: string, cause: unknown): MeshChainError {
	const text = `${show(path)} is closed, and its lock file could not be removed: ${messageOf(cause)}`
	return new MeshChainError('CLOSE_FAILED', text, { path, cause })
}

/** Records that were written and not in memory any more are gone with what somebody cut off. */
export function cutOff(path: string, { what }: Stray, lost: number, lostUpTo: number): MeshChainError {
	const text = `${show(path)} ${what} while this writer had it open. ${lost} records up to seq ${lostUpTo} are lost, a $gap stands for them, and the chain goes on in a new file`
	return new MeshChainError('SYNC_FAILED', text, { path, seq: lostUpTo })
}

/** A record that comes after another writer has the chain. */
export function refused(path: string, seq: number, { message }: MeshChainError): LogAppendError {
	return new LogAppendError(message, { code: 'CHAIN_TAKEN_OVER', retryable: false, path, seq })
}

export function noRoom(path: string, seq: number, heldBytes: number): LogAppendError {
	return new LogAppendError(
		`${heldBytes} bytes wait for ${show(path)} already, all that pendingBytesMax allows`,
		{ code: 'PENDING_OVERFLOW', retryable: true, path, seq },
	)
}
