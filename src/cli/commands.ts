/** The table of all commands: parsing, help and completion derive from it. */
import type { Command } from './command.ts'
import { completionOf } from './completion.ts'
import { dump } from './dump.ts'
import { info } from './info.ts'
import { record } from './record.ts'
import { repair } from './repair.ts'
import { tail } from './tail.ts'
import { verify } from './verify.ts'

export const COMMANDS: readonly Command[] = [
	dump,
	tail,
	info,
	verify,
	repair,
	record,
	completionOf(() => COMMANDS),
]
