/** Entry point `mesh-chain/consume`. Contains only re-exports. */
export { type Consumer, type ConsumerStats, consume } from './consume.ts'
export type { ConsumeOptions } from './consume-options.ts'
export type { ConsumerCursor } from './cursor-file.ts'
export { type Projection, type ProjectOptions, project } from './projection.ts'
