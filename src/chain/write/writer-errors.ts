/** Builds the errors of a writer. */
import { show } from '../../guard/show.ts'
import { LogAppendError, MeshChainError, messageOf } from '../../model/errors.ts'
import { counted } from '../../text/numbers.ts'
import type { LiveFileLoss } from './live-file-check.ts'

/** The position in a chain at which an error occurred. */
interface At {
	readonly path: string
	readonly seq: number
}

export function takenOverError(
	path: string,
	nextSeq: number,
	{ what, records }: LiveFileLoss,
): MeshChainError {
	const text =
		`${show(path)} ${what} while this writer had it open: ` +
		`the chain does not contain ${counted(records, 'record')} that this writer accepted, ` +
		'and will not contain later ones either; ' +
		'stop this process'
	return new MeshChainError('CHAIN_TAKEN_OVER', text, { path, seq: nextSeq - records })
}

/**
 * Returns the error for records that are lost because the file was cut or changed after they had been removed
 * from memory.
 *
 * @param seq Seq of the last lost record.
 */
export function cutOffError({ path, seq }: At, what: LiveFileLoss['what'], lost: number): MeshChainError {
	const text =
		`${show(path)} ${what} while this writer had it open. ` +
		`${counted(lost, 'record')} up to seq ${seq} ${lost === 1 ? 'is' : 'are'} lost and covered by a $gap, ` +
		'and the chain continues in a new file'
	return new MeshChainError('SYNC_FAILED', text, { path, seq })
}

/** Returns the error for a record that was refused because another writer has taken over the chain. */
export function refusedError({ path, seq }: At, { message }: MeshChainError): LogAppendError {
	return new LogAppendError(message, { code: 'CHAIN_TAKEN_OVER', retryable: false, path, seq })
}

export function overflowError({ path, seq }: At, heldBytes: number): LogAppendError {
	const text = `${heldBytes} bytes for ${show(path)} are in memory, and pendingBytesMax allows no more`
	return new LogAppendError(text, { code: 'PENDING_OVERFLOW', retryable: true, path, seq })
}

export function rotationError(path: string, cause: unknown): MeshChainError {
	const text =
		`${show(path)} is full and could not be replaced: ${messageOf(cause)}; ` +
		'the chain continues in that file, and rotation is retried'
	return new MeshChainError('ROTATION_FAILED', text, { path, cause })
}

/** @param seq Seq of the first record that may be lost. */
export function syncError({ path, seq }: At, cause: unknown): MeshChainError {
	const text =
		`${show(path)} could not be synced: ${messageOf(cause)}; ` +
		`records from seq ${seq} on may not survive a power loss until the chain continues in a new ` +
		'file: check the disk'
	return new MeshChainError('SYNC_FAILED', text, { path, seq, cause })
}

/** @param seq Seq of the first waiting record. */
export function writeError(
	{ path, seq, offset, waiting }: At & { readonly offset: number; readonly waiting: number },
	cause: unknown,
): MeshChainError {
	const what = `cannot write to ${show(path)}: ${messageOf(cause)}`
	const text = `${what}; ${counted(waiting, 'record is waiting', 'records are waiting')}, from seq ${seq} on`
	return new MeshChainError('WRITE_FAILED', text, { path, offset, seq, cause })
}

export function unlockError(path: string, cause: unknown): MeshChainError {
	const text = `${show(path)} is closed, but its lock file could not be removed: ${messageOf(cause)}`
	return new MeshChainError('CLOSE_FAILED', text, { path, cause })
}

interface ClosedAt {
	readonly path: string
	readonly writtenSeq: number
	readonly durableSeq: number
	/** Number of records that were not written. */
	readonly lost: number
}

/**
 * Returns the error for a failed close. If records could not be written, the code is `CLOSE_FAILED`, unless
 * another writer has taken over the chain.
 */
export function closeError({ path, writtenSeq, durableSeq, lost }: ClosedAt, cause: unknown): unknown {
	const code = cause instanceof MeshChainError ? cause.code : undefined
	if (lost > 0 && code !== 'CHAIN_TAKEN_OVER') {
		const text =
			`${show(path)} was closed, but ${counted(lost, 'record is', 'records are')} not in it, ` +
			`from seq ${writtenSeq + 1} on: ${messageOf(cause)}`
		return new MeshChainError('CLOSE_FAILED', text, { path, seq: writtenSeq + 1, cause })
	}
	if (code === 'WRITE_FAILED') {
		const text = `${show(path)} was closed without a closing anchor: ${messageOf(cause)}; no record is lost`
		return new MeshChainError('CLOSE_FAILED', text, { path, seq: writtenSeq + 1, cause })
	}
	if (code !== undefined) return cause
	const text =
		`${show(path)} was closed, but its disk did not respond (${messageOf(cause)}): ` +
		`records from seq ${durableSeq + 1} on are written but may not survive a power loss`
	return new MeshChainError('CLOSE_FAILED', text, { path, seq: durableSeq + 1, cause })
}
