/** The public API of mesh-chain. Contains only re-exports. */
export type { Durability, LogChainAppender } from './appender.ts'
export { BufferingAppender, type BufferingOptions, type WaitOptions } from './appenders/buffering.ts'
export { ConsoleAppender, type ConsoleLosses, type ConsoleStats } from './appenders/console-appender.ts'
export type { ConsoleOptions } from './appenders/console-options.ts'
export { NoOpAppender } from './appenders/no-op.ts'
export { TeeAppender, type TeeChildStats, type TeeOptions, type TeeStats } from './appenders/tee.ts'
export type { TeeChild } from './appenders/tee-child.ts'
export {
	type Chain,
	type ChainEndInfo,
	type ChainHead,
	type ChainInfo,
	type ChainInfoOptions,
	type ChainQuery,
	type ChainRecovery,
	type ChainState,
	type ChainWriterStats,
	type EpochInfo,
	FileChainAppender,
	type FileChainOptions,
	type FileChainStats,
	formatHead,
	type LockHolder,
	openChain,
	type RecoveryVerdict,
	type RepairAction,
	type RepairOptions,
	type RepairReport,
	repairChain,
	type SegmentInfo,
	type SyncPolicy,
	type TailQuery,
	type VerifyFinding,
	type VerifyFindingKind,
	type VerifyOptions,
	type VerifyProgress,
	type VerifyReport,
	verifyChain,
} from './chain/index.ts'
export { type EventFields, eventFormat, type FieldCheck } from './jsonl/event-format.ts'
export { type ExportOptions, type ExportSummary, exportJsonl } from './jsonl/export.ts'
export { type ImportOptions, type ImportSummary, importJsonl } from './jsonl/import.ts'
export type { JsonFields } from './jsonl/json-object.ts'
export { JsonlAppender, type JsonlStats } from './jsonl/jsonl-appender.ts'
export type { JsonlOptions } from './jsonl/jsonl-options.ts'
export type { FormatReading, LineFormat, SkipReason } from './jsonl/line-format.ts'
export type { SkippedCounts, SkippedLine } from './jsonl/line-reader.ts'
export { otelFormat } from './jsonl/otel-format.ts'
export { pinoFormat } from './jsonl/pino-format.ts'
export { type JsonlRecords, readJsonl } from './jsonl/read-jsonl.ts'
export { recordFormat } from './jsonl/record-format.ts'
export { type TextFormatOptions, textFormat } from './jsonl/text-format.ts'
export { type AsyncContext, asyncContext } from './loop/async-context.ts'
export { type CloseOnSignalOptions, closeOnSignal } from './loop/close-on-signal.ts'
export { MeshLoop } from './loop/mesh-loop.ts'
export type { MeshLoopOptions, ScopeFields } from './loop/options.ts'
export { type OtelContextApi, otelContext } from './loop/otel-context.ts'
export { recordCrashes } from './loop/record-crashes.ts'
export type { Censor, RedactOptions } from './loop/redact-options.ts'
export type { DroppedCounts, RateLimit, SamplingRule } from './loop/sampling.ts'
export { SECRET_PATHS } from './loop/secret-paths.ts'
export type { Serializer } from './loop/serializers.ts'
export type { LoopStats, RingStats } from './loop/stats.ts'
export type { LoopSubscription } from './loop/subscription.ts'
export {
	type ErrorSerializerOptions,
	errorSerializer,
	requestSerializer,
	responseSerializer,
	type WebSerializerOptions,
} from './loop/web-serializers.ts'
export { type MergedChain, mergeChains } from './merge/merge-chains.ts'
export type { Canonical, Unserializable } from './model/canonical-data.ts'
export {
	ERROR_CODES,
	type ErrorCode,
	type ErrorDetails,
	LogAppendError,
	MeshChainError,
} from './model/errors.ts'
export type {
	ChainRecord,
	EmitArgs,
	EmitFields,
	EventMap,
	GapRecord,
	KindFilter,
	KindOf,
	LineOf,
	RecordOf,
	RecordOrGap,
} from './model/events.ts'
export type { LogFilter, TextPattern } from './model/filter.ts'
export type { HistoryPosition } from './model/history-position.ts'
export { type LineLevel, type LogLevelInput, type LogLevelMin, parseLevel } from './model/level.ts'
export type {
	CheckpointRecord,
	CrashData,
	ExitData,
	OwnEvents,
	RepeatedCheckpoint,
	SessionRecord,
} from './model/own-events.ts'
export {
	GAP_KIND,
	type GapCause,
	type GapData,
	type LineFields,
	LOG_LEVELS,
	type LogLevel,
	type LogLine,
	type LogRecord,
	type PublisherId,
	type RecordOrigin,
} from './model/record.ts'
export type { LostCounts, OutboxStats } from './outbox/outbox-stats.ts'
export { type FileStat, type FileSystem, nodeFileSystem } from './platform/file-system.ts'
export { type FormatOptions, formatRecord } from './pretty/format-record.ts'
export { type ReplayClock, systemClock } from './replay/clock.ts'
export { Player, type PlayerOptions } from './replay/player.ts'
export { replay } from './replay/replay.ts'
export type { ReplayOptions } from './replay/replay-options.ts'
export type { ReplayFailure, ReplayProgress, ReplaySummary } from './replay/replay-summary.ts'
export type { BatchSource, RecordSource } from './replay/source.ts'
export type { ReplayTarget, UndeliveredRecords } from './replay/target.ts'
export { AppenderTarget } from './replay/targets/appender-target.ts'
export { LoopTarget } from './replay/targets/loop-target.ts'
export { ProcessTarget } from './replay/targets/process-target.ts'
export { StreamTarget } from './replay/targets/stream-target.ts'
