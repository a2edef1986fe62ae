/**
 * Finds or creates the stream for chains. Rejects a stream whose settings would make it lose or refuse
 * records.
 */
import {
	DiscardPolicy,
	RetentionPolicy,
	StorageType,
	type StreamConfig,
	type StreamInfo,
} from '@nats-io/jetstream'
import { show } from '../guard/show.ts'
import { checkName, invalidOption } from '../model/check.ts'
import {
	defined,
	defineOptions,
	type OptionRules,
	oneOf,
	optional,
	type ResolvedOptions,
	wholeNumber,
	withDefault,
} from '../model/define-options.ts'
import { MeshChainError } from '../model/errors.ts'
import { wait } from '../platform/wait.ts'
import { type Cluster, isDenied, isLockedOut, reasonOf } from './connection.ts'

/** Settings of a new stream. */
export interface StreamSettings {
	/** Number of servers that store the stream. Default: 1. */
	readonly replicas?: number
	/** Storage that the servers use for the stream. Default: `'file'`. */
	readonly storage?: 'file' | 'memory'
	/** Age in milliseconds at which messages are removed. Default: unlimited. */
	readonly maxAgeMs?: number
	/** Size in bytes above which the oldest messages are removed. Default: unlimited. */
	readonly maxBytes?: number
	/**
	 * Time in milliseconds for which the servers remember message ids. A time longer than `maxAgeMs` is reduced
	 * to `maxAgeMs`. Correctness does not depend on this time, because a forwarder requests the last message
	 * from the stream before it resends a message. Default: 2 minutes.
	 */
	readonly duplicateWindowMs?: number
}

const NS_PER_MS = 1e6
const DUPLICATE_WINDOW_MS = 120_000

const SETTINGS_RULES = {
	replicas: withDefault(1, wholeNumber(1)),
	storage: withDefault('file', oneOf('file', 'memory')),
	maxAgeMs: optional(wholeNumber(100)),
	maxBytes: optional(wholeNumber(1)),
	duplicateWindowMs: withDefault(DUPLICATE_WINDOW_MS, wholeNumber(100)),
} satisfies OptionRules<StreamSettings>

const SETTINGS = defineOptions(SETTINGS_RULES)

/** Stream settings with all defaults applied. */
export type ResolvedStreamSettings = ResolvedOptions<typeof SETTINGS_RULES>

/** Maximum number of repeated requests for a stream. The waits between them add up to two seconds. */
const LOOKS = 20
const LOOK_MS = 100
const NOT_FOUND = 10_059
const IN_USE = 10_058
const OVERLAP = 10_065
/** Error codes that the servers return when the stream, its account or the servers have reached a limit. */
const FULL: readonly (number | undefined)[] = [10_077, 10_047, 10_028, 10_002]
/** Error codes that the servers return while the cluster has too few servers or no leader. */
const INCOMPLETE: readonly (number | undefined)[] = [10_005, 10_006, 10_008, 10_009]

/** Checks the settings for a new stream. @throws {MeshChainError} `INVALID_OPTION` */
export function checkSettings(_name: string, settings: unknown): ResolvedStreamSettings {
	return SETTINGS.resolve(settings)
}

/** Checks the name of a stream. @throws {MeshChainError} `INVALID_OPTION` */
export function checkStreamName(name: string, stream: unknown): string {
	checkName(name, stream)
	if (/^[^\s.*>/\\]+$/.test(stream as string)) return stream as string
	throw invalidOption(name, stream, 'a name without spaces, dots, wildcards or slashes')
}

/** Checks the subject prefix. @throws {MeshChainError} `INVALID_OPTION` */
export function checkSubjectPrefix(name: string, prefix: unknown): string {
	checkName(name, prefix)
	if (/^[^\s.*>$][^\s.*>]*(?:\.[^\s.*>]+)*$/.test(prefix as string)) return prefix as string
	throw invalidOption(name, prefix, 'a subject prefix without spaces or wildcards, such as mesh or prod.mesh')
}

/**
 * Finds a stream and checks that it is suitable for chains. Creates the stream if it does not exist and
 * settings were passed.
 *
 * @throws {MeshChainError} `STREAM_NOT_FOUND`, `STREAM_UNFIT`, `STREAM_REFUSED`, `CLUSTER_UNREACHABLE`
 */
export async function fitStream(
	cluster: Cluster,
	stream: string,
	prefix: string,
	create: ResolvedStreamSettings | undefined,
): Promise<StreamInfo> {
	const info = await led(
		cluster,
		stream,
		(await streamInfo(cluster, stream)) ?? (await made(cluster, stream, prefix, create)),
	)
	const unfit = whatIsUnfit(info.config, prefix)
	if (unfit.length === 0) return info
	throw new MeshChainError(
		'STREAM_UNFIT',
		`the stream ${show(stream)} would lose or refuse records: ${unfit.join('; ')}`,
	)
}

/**
 * Waits, for up to two seconds, until the stream's leader is known and has reported the same creation time
 * twice. A stream that is being created has no leader at first, and does not answer requests until it has
 * one. The leader may briefly report the creation time of its own copy before it reports the creation time of
 * the stream (nats-server 2.9, `setCreatedTime` in `server/jetstream_cluster.go`).
 */
async function led(cluster: Cluster, stream: string, info: StreamInfo): Promise<StreamInfo> {
	let newest = info
	for (let left = LOOKS; left > 0 && newest.cluster !== undefined; left--) {
		await wait(LOOK_MS)
		const before = newest
		newest = (await streamInfo(cluster, stream)) ?? newest
		if (newest.cluster?.leader && newest.created === before.created) break
	}
	return newest
}

/**
 * A stream, identified by its name and its creation time. A stream that is deleted and created again has the
 * same name but a different creation time.
 */
export interface FoundStream {
	readonly name: string
	readonly created: string
}

/**
 * Finds a stream by name.
 *
 * @throws {MeshChainError} `STREAM_NOT_FOUND`, `STREAM_REFUSED`, `CLUSTER_UNREACHABLE`
 */
export async function findStream(cluster: Cluster, name: string): Promise<FoundStream> {
	const info = await streamInfo(cluster, name)
	if (info === undefined) throw notFound(name)
	const { created } = await led(cluster, name, info)
	return { name, created }
}

/**
 * Resolves if the name still refers to the stream that was found. In a cluster, the servers are asked several
 * times before the check fails, because some of them may not be up to date.
 *
 * @throws {MeshChainError} `STREAM_NOT_FOUND` if the stream was deleted, `STREAM_REPLACED` if it was created
 * again, `STREAM_REFUSED`, or `CLUSTER_UNREACHABLE`.
 */
export async function checkSame(cluster: Cluster, { name, created }: FoundStream): Promise<void> {
	const isAlone = cluster.connection.info?.cluster === undefined
	for (let left = isAlone ? 0 : LOOKS; ; left--) {
		const info = await streamInfo(cluster, name)
		if (info?.created === created) return
		if (left === 0) throw info === undefined ? notFound(name) : replaced(name)
		await wait(LOOK_MS)
	}
}

/**
 * Returns information about a stream, or undefined if no stream has that name.
 *
 * @throws {MeshChainError} `STREAM_REFUSED`, `CLUSTER_UNREACHABLE`
 */
export async function streamInfo(cluster: Cluster, stream: string): Promise<StreamInfo | undefined> {
	try {
		return await cluster.manager.streams.info(stream)
	} catch (error) {
		if (isNotFound(error)) return undefined
		throw unreachable(cluster, stream, error)
	}
}

/** Returns the error for a stream that does not exist. */
export function notFound(stream: string): MeshChainError {
	return new MeshChainError(
		'STREAM_NOT_FOUND',
		`there is no stream ${show(stream)}: create it with forwardChain(path, { create: {} }) or ` +
			'mesh-chain forward --create',
	)
}

function replaced(stream: string): MeshChainError {
	return new MeshChainError(
		'STREAM_REPLACED',
		`the stream ${show(stream)} was deleted and created again while it was being read: open it again`,
	)
}

async function made(
	cluster: Cluster,
	stream: string,
	prefix: string,
	create: ResolvedStreamSettings | undefined,
): Promise<StreamInfo> {
	if (create === undefined) throw notFound(stream)
	try {
		return await cluster.manager.streams.add(configOf(stream, prefix, create))
	} catch (error) {
		const code = codeOf(error)
		// The stream may exist nevertheless: the answer may have been lost, or another program may have created
		// the stream at the same time. In that case, nats-server 2.9 sometimes answers that the subjects overlap.
		const mayExist = code === undefined || code === IN_USE || code === OVERLAP
		const there = mayExist ? await streamInfo(cluster, stream) : undefined
		if (there !== undefined) return there
		if (code === undefined || INCOMPLETE.includes(code)) throw unreachable(cluster, stream, error)
		const advice =
			code === OVERLAP ? `: choose a prefix other than ${prefix} (--subject-prefix), or use that stream` : ''
		throw new MeshChainError(
			'STREAM_UNFIT',
			`the stream ${show(stream)} could not be created: ${reasonOf(error)}${advice}`,
			{ cause: error },
		)
	}
}

function configOf(
	stream: string,
	prefix: string,
	{ replicas, storage, maxAgeMs, maxBytes, duplicateWindowMs }: ResolvedStreamSettings,
) {
	const window = maxAgeMs === undefined ? duplicateWindowMs : Math.min(duplicateWindowMs, maxAgeMs)
	return {
		name: stream,
		subjects: [`${prefix}.*.*`],
		retention: RetentionPolicy.Limits,
		discard: DiscardPolicy.Old,
		storage: storage === 'file' ? StorageType.File : StorageType.Memory,
		num_replicas: replicas,
		duplicate_window: window * NS_PER_MS,
		...defined({ max_age: maxAgeMs === undefined ? undefined : maxAgeMs * NS_PER_MS, max_bytes: maxBytes }),
	}
}

/** Returns the reasons why a stream is unfit, each with the required change. */
function whatIsUnfit(config: StreamConfig, prefix: string): string[] {
	const unfit: string[] = []
	if (config.retention !== RetentionPolicy.Limits)
		unfit.push(
			`its retention is ${config.retention}, which removes messages after they are read: set it to limits`,
		)
	if (config.max_msgs_per_subject > 0)
		unfit.push(
			`max_msgs_per_subject keeps only ${config.max_msgs_per_subject} messages of a chain: set it to -1`,
		)
	if (config.no_ack) unfit.push('no_ack is set: unset it, so that messages are acknowledged')
	if (config.sealed) unfit.push('it is sealed: use another stream')
	if (!config.subjects?.some((subject) => covers(subject, prefix)))
		unfit.push(`its subjects are ${config.subjects?.join(', ') || 'none'}: add ${prefix}.*.*`)
	if (config.max_msg_size > 0 && config.max_msg_size < MESSAGE_BYTES_MIN)
		unfit.push(`max_msg_size is ${config.max_msg_size}: set it to -1, or to at least ${MESSAGE_BYTES_MIN}`)
	return unfit
}

const MESSAGE_BYTES_MIN = 64 * 1024

/** Returns whether a subject of the stream covers every `<prefix>.<node>.<chain>`. */
function covers(subject: string, prefix: string): boolean {
	const wanted = [...prefix.split('.'), '*', '*']
	const tokens = subject.split('.')
	for (const [index, token] of tokens.entries()) {
		if (token === '>') return index < wanted.length
		if (token !== '*' && token !== wanted[index]) return false
	}
	return tokens.length === wanted.length
}

/**
 * Returns the error for a request that failed or received no answer.
 *
 * @param error Error from the client, or a `MeshChainError`, which is returned unchanged. If the servers have
 * refused the connection, the message contains the reason for the refusal instead of the reason in this
 * error.
 */
export function unreachable(cluster: Cluster, stream: string, error: unknown): MeshChainError {
	if (error instanceof MeshChainError) return error
	const refusal = refusalIn(error)
	if (refusal !== undefined)
		return new MeshChainError('STREAM_REFUSED', `the stream ${show(stream)} ${refusal}`, { cause: error })
	return new MeshChainError(
		'CLUSTER_UNREACHABLE',
		`the stream ${show(stream)} does not answer: ${cluster.refusal() ?? reasonOf(error)}`,
		{
			cause: error,
		},
	)
}

/**
 * Returns the text for a refusal that lasts until an operator fixes the cause, including the required change.
 * Returns undefined for other errors.
 */
function refusalIn(error: unknown): string | undefined {
	if (FULL.includes(codeOf(error)))
		return (
			`accepts no more messages: ${reasonOf(error)}. Raise the limits of the stream or its account, ` +
			'or let the stream remove the oldest messages (discard: old)'
		)
	return isDenied(error) ? `refuses this user: ${reasonOf(error)}` : undefined
}

/** Returns whether an error is a refusal by the servers. Retries fail until an operator fixes the cause. */
export function isRefusal(error: unknown): boolean {
	if (error instanceof MeshChainError && error.code === 'STREAM_REFUSED') return true
	return isDenied(error) || isLockedOut(error)
}

/** Returns whether an error means that the stream does not exist. */
export function isNotFound(error: unknown): boolean {
	return codeOf(error) === NOT_FOUND
}

/** Returns the code of a JetStream error, or undefined if the error has no code. */
export function codeOf(error: unknown): number | undefined {
	const { code } = (error ?? {}) as { readonly code?: unknown }
	return typeof code === 'number' ? code : undefined
}
