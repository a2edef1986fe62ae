/** Entry point `mesh-chain/recorder`. Contains only re-exports. */
export type { BlackBoxData, BlackBoxLine } from '../model/own-events.ts'
export { BlackBox, type BlackBoxOptions, type BlackBoxStats } from './black-box.ts'
export { diffStates, formatChanges, type StateChange } from './diff-states.ts'
export { Recorder, type RecorderOptions } from './recorder.ts'
export type { Checkpoint, EventSlice, Session, SessionEvent, SessionInfo } from './session.ts'
export { ChainSession, listSessions, openSession } from './sessions.ts'
export { type StateOptions, type StatePosition, stateAt } from './state-at.ts'
