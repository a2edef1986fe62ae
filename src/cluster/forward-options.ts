/** Options of a forwarder. */
import type { ConnectionOptions } from '@nats-io/transport-node'
import { checkBoolean, checkFileSystem, checkName, checkPath } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	optional,
	type ResolvedOptions,
	required,
	timerMs,
	wholeNumber,
	withDefault,
} from '../model/define-options.ts'
import { type FileSystem, nodeFileSystem } from '../platform/file-system.ts'
import { checkServers, connectionOptions } from './connection.ts'
import { ACCESS_RULES, type NatsAccess } from './credentials.ts'
import { checkSettings, checkStreamName, checkSubjectPrefix, type StreamSettings } from './stream.ts'

/** Options of {@link forwardChain}. */
export interface ForwardOptions extends NatsAccess {
	/** One or more servers of one cluster, such as `nats://host:4222`. */
	readonly servers: string | readonly string[]
	/** Stream that receives the records. Default: `'mesh'`. */
	readonly stream?: string | undefined
	/** Prefix of the subjects `<subjectPrefix>.<node>.<chain id>`. Default: `'mesh'`. */
	readonly subjectPrefix?: string | undefined
	/**
	 * Node name in the subject. A chain that is already in the stream keeps its subject. Default: the node of
	 * the first record that has one, or `'node'` if none of the first 1,000 records has one.
	 */
	readonly node?: string | undefined
	/** Settings for creating the stream if it does not exist. Default: the stream must exist. */
	readonly create?: StreamSettings | undefined
	/**
	 * Size in bytes at which a message is sent. A smaller message is sent if no other records are waiting.
	 * Default: 256 KiB.
	 */
	readonly messageBytes?: number | undefined
	/**
	 * Time to wait for more records after sending a message that was not full. This delay limits the number of
	 * messages that a node sends. Default: 100 ms.
	 */
	readonly lingerMs?: number | undefined
	/**
	 * Interval between checks for new records when the operating system does not report changes. Default: 200
	 * ms.
	 */
	readonly pollIntervalMs?: number | undefined
	/** Time to wait for an answer from the servers before records are sent again. Default: 5,000 ms. */
	readonly ackTimeoutMs?: number | undefined
	/**
	 * Whether the forwarder ends when the servers refuse it because the stream is full or deleted, a permission
	 * is missing, or the password is wrong. If false, the forwarder retries, because an operator may fix the
	 * cause. Default: false.
	 */
	readonly endWhenRefused?: boolean | undefined
	/** File system. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

const FORWARD_RULES = {
	...ACCESS_RULES,
	servers: required(checkServers),
	stream: withDefault('mesh', checkStreamName),
	subjectPrefix: withDefault('mesh', checkSubjectPrefix),
	node: optional(checkName),
	create: optional(checkSettings),
	messageBytes: withDefault(256 * 1024, wholeNumber(1024)),
	lingerMs: withDefault(100, timerMs()),
	pollIntervalMs: withDefault(200, timerMs()),
	ackTimeoutMs: withDefault(5_000, timerMs()),
	endWhenRefused: withDefault(false, checkBoolean),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<ForwardOptions>

const FORWARD_OPTIONS = defineOptions(FORWARD_RULES)

/** Forwarder options with all defaults applied. */
export interface ResolvedForwardOptions extends ResolvedOptions<typeof FORWARD_RULES> {
	readonly connection: ConnectionOptions
}

/**
 * Validates the options and applies the defaults.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `FILE_UNREADABLE`
 */
export function resolveForwardOptions(path: string, options: ForwardOptions): ResolvedForwardOptions {
	checkPath('a chain to forward', path)
	const resolved = FORWARD_OPTIONS.resolve(options)
	return { ...resolved, connection: connectionOptions(resolved.servers, resolved) }
}
