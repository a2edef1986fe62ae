/** What a `JetStreamAppender` can be told, checked and in full. */
import type { ConnectionOptions } from '@nats-io/transport-node'
import { checkName, checkOptionNames, checkTimerMs, checkWholeNumber, ifGiven } from '../model/check.ts'
import { PENDING_BYTES_DEFAULT } from '../model/limits.ts'
import { checkServers, connectionOptions } from './connection.ts'
import { ACCESS_NAMES, type NatsAccess } from './credentials.ts'
import { checkSettings, checkStreamName, checkSubjectPrefix, type StreamSettings } from './stream.ts'

export interface JetStreamOptions extends NatsAccess {
	/** `nats://host:4222`, one or several of one cluster. */
	readonly servers: string | readonly string[]
	/** The stream that the records go to. Default `'mesh'`. */
	readonly stream?: string
	/** What the subject begins with: `<subject>.<node>.<chain id>`. Default `'mesh'`. */
	readonly subjectPrefix?: string
	/** The node in the subject. Default: that of the first record that names one, of those that there are when the first is sent, and else `'node'`. */
	readonly node?: string
	/** Makes the stream where there is none. Default: it has to be there, or comes to be. */
	readonly create?: StreamSettings
	/** Records that are held until they are acknowledged. With more, the loop has to keep them. Default 65,536. */
	readonly pendingRecordsMax?: number
	/** The same in bytes, by an estimate. Default 16 MiB. */
	readonly pendingBytesMax?: number
	/** A message holds about so much at most; less where nothing more is there at the moment. Default 256 KiB. */
	readonly messageBytes?: number
	/** How long an answer of the servers is waited for before the records are sent again. Default 5,000 ms. */
	readonly ackTimeoutMs?: number
	/** How long `close()` waits for what is not acknowledged yet. Default 5,000 ms; 0 does not wait. */
	readonly closeMs?: number
}

export interface ResolvedJetStreamOptions {
	readonly connection: ConnectionOptions
	readonly stream: string
	readonly subjectPrefix: string
	readonly node: string | undefined
	readonly create: StreamSettings | undefined
	readonly pendingRecordsMax: number
	readonly pendingBytesMax: number
	readonly messageBytes: number
	readonly ackTimeoutMs: number
	readonly closeMs: number
}

const NAMES = [
	'servers',
	'stream',
	'subjectPrefix',
	'node',
	'create',
	'pendingRecordsMax',
	'pendingBytesMax',
	'messageBytes',
	'ackTimeoutMs',
	'closeMs',
	...ACCESS_NAMES,
]
const PENDING_RECORDS = 65_536
const MESSAGE_BYTES = 256 * 1024
const ACK_TIMEOUT_MS = 5_000
const CLOSE_MS = 5_000

/** @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE` */
export function resolveJetStreamOptions(options: JetStreamOptions): ResolvedJetStreamOptions {
	checkOptionNames(options, NAMES)
	const { stream = 'mesh', subjectPrefix: subject = 'mesh' } = options
	const { pendingRecordsMax = PENDING_RECORDS, pendingBytesMax = PENDING_BYTES_DEFAULT } = options
	const { messageBytes = MESSAGE_BYTES, ackTimeoutMs = ACK_TIMEOUT_MS, closeMs = CLOSE_MS } = options
	return {
		// A connection that is lost is replaced by a new one, and what waits for an answer on it hears of that at once.
		connection: { ...connectionOptions(checkServers(options.servers), options), reconnect: false },
		stream: checkStreamName(stream),
		subjectPrefix: checkSubjectPrefix(subject),
		node: ifGiven('node', options.node, checkName),
		create: ifGiven('create', options.create, (_name, create) => checkSettings(create)),
		pendingRecordsMax: checkWholeNumber('pendingRecordsMax', pendingRecordsMax, 1),
		pendingBytesMax: checkWholeNumber('pendingBytesMax', pendingBytesMax, 1),
		messageBytes: checkWholeNumber('messageBytes', messageBytes, 1024),
		ackTimeoutMs: checkTimerMs('ackTimeoutMs', ackTimeoutMs),
		closeMs: checkTimerMs('closeMs', closeMs, 0),
	}
}
