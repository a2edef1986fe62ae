/** Starts a chain that has no files: a new chain, or a chain that has only its watermark left. */
import { randomBytes } from 'node:crypto'
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { isEpoch, LOG_LEVELS } from '../../model/record.ts'
import { putFirstInPlace, requireSynced } from '../../platform/atomic-file.ts'
import { readWatermark } from '../files/watermark-file.ts'
import { CHAIN_ID_BYTES } from '../format/header.ts'
import type { Watermark } from '../format/watermark.ts'
import { NO_LINK } from '../scan/identity.ts'
import { createSegment, exhausted, type FileStart } from './create-segment.ts'
import { type ChainRecovery, contextOf, type OpenedChain, type OpeningOptions } from './opened-chain.ts'

export function createChain(options: OpeningOptions): OpenedChain {
	const first = { segment: 0, firstSeq: 1, previousEnd: 0 }
	const begun = beginChain(options, { chainId: randomBytes(CHAIN_ID_BYTES), ...first }, 1)
	return { ...begun, watermark: undefined, recovery: undefined }
}

/** Continues a lost chain after its last known seq, so that every reader detects the missing records. */
export function continueAfterWatermark(options: OpeningOptions, watermark: Watermark): OpenedChain {
	if (options.onDamage === 'refuse') refuseLost(options)
	const { chainId, segment, seq, offset, epoch } = watermark
	const start = { chainId, segment: segment + 1, firstSeq: seq + 1, previousEnd: offset }
	const begun = beginChain(options, start, epochAfter(epoch, options.path))
	const nothing = { offset: 0, bytes: 0, keptAt: undefined, sealedAs: undefined }
	const recovery: ChainRecovery = { verdict: 'truncated', action: 'next', ...nothing, lostRecords: seq }
	return { ...begun, watermark, recovery }
}

/** Creates a file for a chain that has none. */
function beginChain(
	options: OpeningOptions,
	begin: Pick<FileStart, 'chainId' | 'segment' | 'firstSeq' | 'previousEnd'>,
	epoch: number,
): Pick<OpenedChain, 'file' | 'context'> {
	const { system, path } = options
	const context = contextOf(options, epoch)
	const start = {
		...begin,
		previousLink: NO_LINK,
		levelCounts: LOG_LEVELS.map(() => 0),
		keptFromSeq: 1,
	}
	const { file } = createSegment(context, options, start, {
		fill: ({ tail }) => tail.anchor('opened', 0),
		putInPlace: (temporary) => requireSynced(putFirstInPlace(system, temporary, path)),
	})
	return { file, context }
}

/**
 * Returns the watermark at the path of a chain whose files are lost; undefined if there is none, or if it
 * shows that no record was on disk.
 */
export function lostWatermark({ system, path }: OpeningOptions): Watermark | undefined {
	const watermark = readWatermark(system, path, undefined)
	return watermark !== undefined && watermark.seq > 0 ? watermark : undefined
}

/**
 * Refuses to continue a lost chain.
 *
 * @throws {MeshChainError} `CHAIN_DAMAGED` if a watermark shows that records on disk were lost together with
 * their file.
 */
export function refuseLost(options: OpeningOptions): void {
	const { path } = options
	const watermark = lostWatermark(options)
	if (watermark === undefined) return
	throw new MeshChainError(
		'CHAIN_DAMAGED',
		`${show(path)} is gone or was destroyed, but ${show(`${path}.durable`)} shows that records ` +
			`up to seq ${watermark.seq} were on disk; onDamage is 'refuse', so nothing was changed: ` +
			`restore the file, or remove ${show(`${path}.durable`)} to start a new chain`,
		{ path, offset: 0, seq: 1 },
	)
}

/**
 * Returns the next epoch.
 *
 * @throws {MeshChainError} `CHAIN_EXHAUSTED` if readers would reject that epoch.
 */
export function epochAfter(epoch: number, path: string): number {
	if (isEpoch(epoch + 1)) return epoch + 1
	throw exhausted(path, 'epoch')
}
