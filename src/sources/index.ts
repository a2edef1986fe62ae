/** Entry point `mesh-chain/sources`. Contains only re-exports. */
export type { ArchiveOptions } from './archive-options.ts'
export type { ConnectionState, Regained } from './connection.ts'
export type { DroppedCounts, SourceCounts } from './counters.ts'
export type { CreateSource } from './create-source.ts'
export type { LiveValue, SourceEntry, SourceState } from './entry.ts'
export { fromChannel } from './kinds/from-channel.ts'
export { fromEmitter } from './kinds/from-emitter.ts'
export { fromFunction } from './kinds/from-function.ts'
export { fromHttp, type HttpOptions } from './kinds/from-http.ts'
export { fromIterable } from './kinds/from-iterable.ts'
export { fromNats, type NatsConnectionLike, type NatsMessage, type NatsOptions } from './kinds/from-nats.ts'
export { fromStream } from './kinds/from-stream.ts'
export type { MappingOptions, ToSample } from './kinds/mapping.ts'
export {
	type EventLoopDelay,
	eventLoopDelay,
	type GarbageCollection,
	garbageCollection,
	memoryUsage,
} from './kinds/perf-hooks.ts'
export type { DropPolicy, SampleData } from './managed-source.ts'
export type { SourceManagerOptions } from './manager-options.ts'
export type { SourcePolicy } from './policies.ts'
export { type RegistryContents, readRegistry } from './registry.ts'
export type { Sample, SampleMode, SampleSink, Source } from './source.ts'
export { SourceManager } from './source-manager.ts'
export { type SourceReport, sourceReport } from './source-report.ts'
export type { SourceStatus } from './source-status.ts'
