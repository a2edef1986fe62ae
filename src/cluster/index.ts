/** Entry point `mesh-chain/cluster`, which contains only exports. */

export { parseAddress, type StreamAddress } from './address.ts'
export type { NatsAccess, TlsFiles } from './credentials.ts'
export { forwardChain } from './forward.ts'
export type { ForwardOptions } from './forward-options.ts'
export type { Forwarder, ForwarderState, ForwarderStats } from './forwarder.ts'
export { JetStreamAppender } from './jetstream-appender.ts'
export type { JetStreamOptions } from './jetstream-options.ts'
export type { JetStreamStats } from './jetstream-stats.ts'
export { openStream, type StreamOptions } from './open-stream.ts'
export { type PullOptions, type PullProgress, type PullSummary, pullStream } from './pull.ts'
export type { PulledChain } from './pull-chain.ts'
export type { StreamSettings } from './stream.ts'
