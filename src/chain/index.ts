/** Exports everything that other folders may import from chain/. */
export {
	answerFor,
	type ChainAnswer,
	explainedAs,
	heavier,
	heaviestAnswer,
	type Severity,
	severityOfCause,
	severityOfRecord,
} from './answer.ts'
export type {
	Chain,
	ChainEndInfo,
	ChainHead,
	ChainInfo,
	ChainInfoOptions,
	ChainQuery,
	ChainState,
	EpochInfo,
	LockHolder,
	RepairAction,
	RepairReport,
	SegmentInfo,
	TailQuery,
	VerifyFinding,
	VerifyFindingKind,
	VerifyReport,
} from './chain.ts'
export { checkChain, checkFollowable, whatWasGiven } from './check-chain.ts'
export { chainOfSealedFile, chainsIn } from './files/chains-in.ts'
export { acquireLock, type Lock } from './files/lock.ts'
export { readHolder } from './files/lock-holder.ts'
export { identifyAt } from './files/segments.ts'
export { readWatermark } from './files/watermark-file.ts'
export { identityChecksum } from './format/checksum.ts'
export {
	claimedLength,
	decodeFrame,
	encodeFrame,
	FLAG_ASCII,
	FLAG_CONTROL,
	FRAME_FIXED_BYTES,
	type Frame,
	frameBytesMax,
	looksLikeFrame,
	relocateFrame,
} from './format/frame.ts'
export { CHAIN_LEAD } from './format/header.ts'
export { inOne, RecordCollector } from './read/collectors.ts'
export { INFO_OPTIONS } from './read/info-options.ts'
export { applyGapRule, limitBatches } from './read/limit.ts'
export { openChain, openFileChain } from './read/open-chain.ts'
export { openForReading } from './read/open-file.ts'
export { Patience } from './read/patience.ts'
export { type ResolvedQuery, resolveQuery, resolveTail } from './read/query.ts'
export type { FileChain } from './read/reader.ts'
export { RecordIterator, recordsOf } from './read/record-iterator.ts'
export { firstCovered, rowBlockOf, rowsOf } from './scan/frame-rows.ts'
export { EVIDENCE } from './verify/findings.ts'
export { formatHead } from './verify/head.ts'
export { type RepairOptions, repairChain } from './verify/repair.ts'
export { type VerifyOptions, type VerifyProgress, verifyChain } from './verify/verify.ts'
export { ChainBuilder } from './write/chain-builder.ts'
export { FileChainAppender, type FileChainStats } from './write/file-chain-appender.ts'
export {
	type FileChainOptions,
	resolveFileChainOptions,
	type SyncPolicy,
} from './write/file-chain-options.ts'
export { checkBatch, gapBefore } from './write/gap-before.ts'
export type { ChainRecovery } from './write/opened-chain.ts'
export type { RecoveryVerdict } from './write/recovery.ts'
export { ReplicaWriter } from './write/replica-writer.ts'
export type { ChainWriterStats } from './write/writer-stats.ts'
