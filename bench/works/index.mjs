/**
 * All works that are measured. Each has a name, its contenders, and `run(size, folder, progress)`, where
 * `size` contains the mode and the participants. `run` returns counts, each contender's figures, and the
 * checks against the targets.
 */
import { appends } from './append.mjs'
import { clusters } from './cluster.mjs'
import { disk } from './disk.mjs'
import { eventLoop } from './event-loop.mjs'
import { follow } from './follow.mjs'
import { growth } from './growth.mjs'
import { http } from './http.mjs'
import { journals } from './journal.mjs'
import { large } from './large.mjs'
import { reads } from './read.mjs'
import { sources } from './sources.mjs'
import { stages } from './stages.mjs'
import { start } from './start.mjs'

export const works = [
	...appends,
	disk,
	...reads,
	http,
	large,
	growth,
	eventLoop,
	follow,
	...sources,
	...journals,
	...clusters,
	start,
	stages,
]
