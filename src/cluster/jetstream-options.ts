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
	/** `nats://host:4222`: one server, or several of one cluster. */
	readonly servers: string | readonly string[]
	/** Stream for the records. Default: `'mesh'`. */
	readonly stream?: string | undefined
	/** Prefix of the subject `<subjectPrefix>.<node>.<chain id>`. Default: `'mesh'`. */
	readonly subjectPrefix?: string | undefined
	/**
	 * Node in the subject. Default: the node of the first pending record that names one when the first message
	 * is sent, and `'node'` where none does.
	 */
	readonly node?: string | undefined
	/** Settings of a stream to create where there is none. Default: the appender waits for the stream. */
	readonly create?: StreamSettings | undefined
	/** Records held until they are acknowledged; the loop keeps those beyond. Default: 65,536. */
	readonly pendingRecordsMax?: number | undefined
	/** Estimated bytes of the held records. Default: 16 MiB. */
	readonly pendingBytesMax?: number | undefined
	/** Size at which a message is sent; sooner where there are no more records. Default: 256 KiB. */
	readonly messageBytes?: number | undefined
	/** How long to wait for an answer of the servers before records are sent again. Default: 5,000 ms. */
	readonly ackTimeoutMs?: number | undefined
	/** How long `close()` waits for records that are not acknowledged. Default: 5,000 ms; 0 does not wait. */
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

/** The options in full. */
export interface ResolvedJetStreamOptions extends ResolvedOptions<typeof JETSTREAM_RULES> {
	readonly connection: ConnectionOptions
}

/** Checks and completes the options. @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE` */
export function resolveJetStreamOptions(options: JetStreamOptions): ResolvedJetStreamOptions {
	const resolved = JETSTREAM_OPTIONS.resolve(options)
	const connection = connectionOptions(resolved.servers, resolved)
	// A lost connection is replaced by a new one, so that requests on it fail at once.
	return { ...resolved, connection: { ...connection, reconnect: false } }
}
