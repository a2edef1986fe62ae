/** What a forwarder can be told, checked and in full. */
import type { ConnectionOptions } from '@nats-io/transport-node'
import {
	checkBoolean,
	checkFileSystem,
	checkName,
	checkOptionNames,
	checkPath,
	checkTimerMs,
	checkWholeNumber,
	ifGiven,
} from '../model/check.ts'
import { type FileSystem, nodeFileSystem } from '../platform/file-system.ts'
import { checkServers, connectionOptions } from './connection.ts'
import { ACCESS_NAMES, type NatsAccess } from './credentials.ts'
import { checkSettings, checkStreamName, checkSubjectPrefix, type StreamSettings } from './stream.ts'

export interface ForwardOptions extends NatsAccess {
	/** `nats://host:4222`, one or several of one cluster. */
	readonly servers: string | readonly string[]
	/** The stream that the records go to. Default `'mesh'`. */
	readonly stream?: string
	/** What the subjects begin with: `<subject>.<node>.<chain id>`. Default `'mesh'`. */
	readonly subjectPrefix?: string
	/**
	 * The node that the chain is of, in the subject. A chain that the stream has already stays under its subject. Default: that of its first record that names one, and
	 * `'node'` where none does.
	 */
	readonly node?: string
	/** Makes the stream where there is none. Default: it has to be there. */
	readonly create?: StreamSettings
	/** A message is sent when it holds so much, or nothing more is there at the moment. Default 256 KiB. */
	readonly messageBytes?: number
	/** After a message that was not full, the next one waits so long for more to come: this bounds how many messages a node sends. Default 100 ms. */
	readonly lingerMs?: number
	/** How often to look for more when the system gives no hint. Default 200 ms. */
	readonly pollMs?: number
	/** How long an answer of the servers is waited for before the records are sent again. Default 5,000 ms. */
	readonly ackTimeoutMs?: number
	/** Ends, with what they say, when the servers refuse: a full stream, a permission, a password, a stream that was deleted. Default: it goes on trying, as somebody may change that. */
	readonly endWhenRefused?: boolean
	readonly fs?: FileSystem
}

export interface ResolvedForwardOptions {
	readonly connection: ConnectionOptions
	readonly stream: string
	readonly subjectPrefix: string
	readonly node: string | undefined
	readonly create: StreamSettings | undefined
	readonly messageBytes: number
	readonly lingerMs: number
	readonly pollMs: number
	readonly ackTimeoutMs: number
	readonly endWhenRefused: boolean
	readonly system: FileSystem
}

const NAMES = [
	'servers',
	'stream',
	'subjectPrefix',
	'node',
	'create',
	'messageBytes',
	'lingerMs',
	'pollMs',
	'ackTimeoutMs',
	'endWhenRefused',
	'fs',
	...ACCESS_NAMES,
]
const MESSAGE_BYTES = 256 * 1024

/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `FILE_UNREADABLE` */
export function resolveForwardOptions(path: string, options: ForwardOptions): ResolvedForwardOptions {
	checkPath('a chain to forward', path)
	checkOptionNames(options, NAMES)
	const { stream = 'mesh', subjectPrefix: subject = 'mesh', messageBytes = MESSAGE_BYTES } = options
	return {
		connection: connectionOptions(checkServers(options.servers), options),
		stream: checkStreamName(stream),
		subjectPrefix: checkSubjectPrefix(subject),
		node: ifGiven('node', options.node, checkName),
		create: ifGiven('create', options.create, (_name, create) => checkSettings(create)),
		messageBytes: checkWholeNumber('messageBytes', messageBytes, 1024),
		lingerMs: checkTimerMs('lingerMs', options.lingerMs ?? 100),
		pollMs: checkTimerMs('pollMs', options.pollMs ?? 200),
		ackTimeoutMs: checkTimerMs('ackTimeoutMs', options.ackTimeoutMs ?? 5_000),
		endWhenRefused: checkBoolean('endWhenRefused', options.endWhenRefused ?? false),
		system: checkFileSystem('fs', options.fs ?? nodeFileSystem),
	}
}
