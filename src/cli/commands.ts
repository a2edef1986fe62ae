/** The table of all commands. */
import type { Command } from './command.ts'
import { completionOf } from './completion.ts'
import { dump } from './dump.ts'
import { exportCommand } from './export.ts'
import { forward } from './forward.ts'
import { importCommand } from './import.ts'
import { info } from './info.ts'
import { merge } from './merge.ts'
import { pull } from './pull.ts'
import { record } from './record.ts'
import { repair } from './repair.ts'
import { replay } from './replay.ts'
import { replaySql } from './replay-sql.ts'
import { sessions } from './sessions.ts'
import { sources } from './sources.ts'
import { state } from './state.ts'
import { tail } from './tail.ts'
import { verify } from './verify.ts'

export const COMMANDS: readonly Command[] = [
	dump,
	tail,
	info,
	verify,
	repair,
	record,
	replay,
	replaySql,
	exportCommand,
	importCommand,
	merge,
	forward,
	pull,
	sessions,
	state,
	sources,
	completionOf(() => COMMANDS),
]
