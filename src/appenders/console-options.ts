/** The options of a `ConsoleAppender`. */
import { hush } from '../guard/hush.ts'
import { propertyOf } from '../guard/values.ts'
import { checkBoolean, checkFileSystem, invalidOption } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	oneOf,
	optional,
	timerMs,
	wholeNumber,
	withDefault,
} from '../model/define-options.ts'
import { checkLevelMin, type LogLevelInput } from '../model/level.ts'
import { CONSOLE_CLOSE_TIMEOUT_MS_DEFAULT, CONSOLE_QUEUE_BYTES_DEFAULT } from '../model/limits.ts'
import { type FileSystem, nodeFileSystem } from '../platform/file-system.ts'
import type { TextStream } from './stream-output.ts'

/** Options for a `ConsoleAppender`. */
export interface ConsoleOptions {
	/**
	 * Destination of the lines: a standard stream of the process, or a `Writable`. `process.stdout` means
	 * `'stdout'`, and `process.stderr` means `'stderr'`. Default: `'stdout'`.
	 */
	readonly stream?: 'stdout' | 'stderr' | NodeJS.WritableStream | undefined
	/**
	 * Lowest level to write, in any form that a loop accepts. `'silent'` writes nothing. `$gap` records are
	 * always written. Default: `'trace'`.
	 */
	readonly level?: LogLevelInput | undefined
	/**
	 * Whether records are written for people instead of as JSON Lines. Default: whether the stream is a
	 * terminal.
	 */
	readonly pretty?: boolean | undefined
	/**
	 * Format of the JSON Lines: mesh-chain's own lossless format, or the format of pino. Default:
	 * `'mesh-chain'`.
	 */
	readonly format?: 'mesh-chain' | 'pino' | undefined
	/**
	 * Whether records for people are coloured. Default: `NO_COLOR` and `FORCE_COLOR` decide, as for the command
	 * line. Without them, records are coloured if the stream is a terminal and `TERM` is not `dumb`.
	 */
	readonly color?: boolean | undefined
	/**
	 * Maximum number of bytes that wait for the reader of the stream. If a line does not fit, the oldest
	 * waiting lines are dropped and counted. Whole number from 1,024. Default: 4 MiB.
	 */
	readonly queueBytesMax?: number | undefined
	/**
	 * Maximum time that `close` waits for the reader. Lines that are still waiting are then dropped and
	 * counted. Whole number from 1. Default: 2,000 ms.
	 */
	readonly closeTimeoutMs?: number | undefined
	/** File system that writes to stdout or stderr. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

const CONSOLE_OPTIONS = defineOptions({
	stream: withDefault('stdout', checkStream),
	level: withDefault(0, (_name, level) => checkLevelMin(level)),
	pretty: optional(checkBoolean),
	format: withDefault('mesh-chain', oneOf('mesh-chain', 'pino')),
	color: optional(checkBoolean),
	queueBytesMax: withDefault(CONSOLE_QUEUE_BYTES_DEFAULT, wholeNumber(1024)),
	closeTimeoutMs: withDefault(CONSOLE_CLOSE_TIMEOUT_MS_DEFAULT, timerMs()),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<ConsoleOptions>)

/** The options of a `ConsoleAppender` with all defaults applied. */
export type ResolvedConsoleOptions = ReturnType<typeof CONSOLE_OPTIONS.resolve>

/** @throws {MeshChainError} `INVALID_OPTION` or `INVALID_LEVEL` */
export function resolveConsoleOptions(options: ConsoleOptions): ResolvedConsoleOptions {
	return CONSOLE_OPTIONS.resolve(options)
}

function checkStream(name: string, stream: unknown): 'stdout' | 'stderr' | TextStream {
	if (stream === 'stdout' || stream === 'stderr') return stream
	const isStream = typeof stream === 'object' && typeof propertyOf(stream, 'write') === 'function'
	if (!isStream) {
		hush(stream)
		throw invalidOption(name, stream, "'stdout', 'stderr' or a writable stream")
	}
	// The streams of the process are written through their descriptors, which never waits for a reader.
	const fd = propertyOf(stream, 'fd')
	const isOwn = fd === 1 || fd === 2
	return isOwn ? (fd === 1 ? 'stdout' : 'stderr') : (stream as TextStream)
}
