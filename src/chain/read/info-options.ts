/** The options of `info()`, for a chain in files and for a chain in a stream. */
import { checkBoolean } from '../../model/check.ts'
import { defineOptions, type OptionRules, withDefault } from '../../model/define-options.ts'
import type { ChainInfoOptions } from '../chain.ts'

export const INFO_OPTIONS = defineOptions({
	full: withDefault(false, checkBoolean),
} satisfies OptionRules<ChainInfoOptions>)
