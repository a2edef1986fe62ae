/** Options of a `JetStreamAppender`. */
import type { ConnectionOptions } from '@nats-io/transport-node'
import { checkName } from '../model/check.ts'
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
import { PENDING_BYTES_DEFAULT } from '../model/limits.ts'
import { checkServers, connectionOptions } from './connection.ts'
import { ACCESS_RULES, type NatsAccess } from './credentials.ts'
import { checkSettings, checkStreamName, checkSubjectPrefix, type StreamSettings } from './stream.ts'

/** Options of {@link JetStreamAppender}. */
export interface JetStreamOptions extends NatsAccess {
	/** One or more servers of one cluster, such as `nats://host:4222`. */
	readonly servers: string | readonly string[]
	/** Stream that receives the records. Default: `'mesh'`. */
	readonly stream?: string | undefined
	/** Prefix of the subject `<subjectPrefix>.<node>.<chain id>`. Default: `'mesh'`. */
	readonly subjectPrefix?: string | undefined
	/**
	 * Node name in the subject. Default: the node of the first pending record that has one when the first
	 * message is sent, or `'node'` if none has one.
	 */
	readonly node?: string | undefined
	/**
	 * Settings for creating the stream if it does not exist. Default: the appender waits until the stream
	 * exists.
	 */
	readonly create?: StreamSettings | undefined
	/**
	 * Maximum number of unacknowledged records in the appender. The loop keeps additional records. Default:
	 * 65,536.
	 */
	readonly pendingRecordsMax?: number | undefined
	/** Maximum estimated size of the unacknowledged records, in bytes. Default: 16 MiB. */
	readonly pendingBytesMax?: number | undefined
	/**
	 * Size in bytes at which a message is sent. A smaller message is sent if no other records are waiting.
	 * Default: 256 KiB.
	 */
	readonly messageBytes?: number | undefined
	/** Time to wait for an answer from the servers before records are sent again. Default: 5,000 ms. */
	readonly ackTimeoutMs?: number | undefined
	/** Maximum time that `close()` waits for unacknowledged records; 0 disables the wait. Default: 5,000 ms. */
	readonly closeMs?: number | undefined
}

const JETSTREAM_RULES = {
	...ACCESS_RULES,
	servers: required(checkServers),
	stream: withDefault('mesh', checkStreamName),
	subjectPrefix: withDefault('mesh', checkSubjectPrefix),
	node: optional(checkName),
	create: optional(checkSettings),
	pendingRecordsMax: withDefault(65_536, wholeNumber(1)),
	pendingBytesMax: withDefault(PENDING_BYTES_DEFAULT, wholeNumber(1)),
	messageBytes: withDefault(256 * 1024, wholeNumber(1024)),
	ackTimeoutMs: withDefault(5_000, timerMs()),
	closeMs: withDefault(5_000, timerMs(0)),
} satisfies OptionRules<JetStreamOptions>

const JETSTREAM_OPTIONS = defineOptions(JETSTREAM_RULES)

/** Appender options with all defaults applied. */
export interface ResolvedJetStreamOptions extends ResolvedOptions<typeof JETSTREAM_RULES> {
	readonly connection: ConnectionOptions
}

/**
 * Validates the options and applies the defaults.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE`
 */
export function resolveJetStreamOptions(options: JetStreamOptions): ResolvedJetStreamOptions {
	const resolved = JETSTREAM_OPTIONS.resolve(options)
	const connection = connectionOptions(resolved.servers, resolved)
	// The appender replaces a lost connection with a new one. Without `reconnect`, requests on the lost
	// connection fail immediately.
	return { ...resolved, connection: { ...connection, reconnect: false } }
}
