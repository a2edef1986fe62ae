/** The table of all commands: parsing, help and everything else about them derives from it. */
import type { Command } from './command.ts'
import { dump } from './dump.ts'
import { info } from './info.ts'
import { tail } from './tail.ts'
import { verify } from './verify.ts'

export const COMMANDS: readonly Command[] = [dump, tail, info, verify]
