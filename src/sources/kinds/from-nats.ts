/** A source that subscribes to a NATS subject. The source cannot wait, because the server pushes messages. */
import { checkFunction, checkName, checkWord, ifGiven } from '../../model/check.ts'
import { processWide } from '../../platform/process-wide.ts'
import { aborted } from '../../platform/wait.ts'
import type { SampleSink, Source } from '../source.ts'
import { checkMapping, type MappingOptions, sampleOf, type ToSample } from './mapping.ts'

/** Options for `fromNats`. */
export interface NatsOptions extends MappingOptions<NatsMessage> {
	/**
	 * Format in which the payload is decoded. Ignored if there is a `sample` function. A message that cannot be
	 * decoded is dropped. Default: `'json'`.
	 */
	readonly decode?: 'json' | 'text' | 'bytes' | undefined
	/** Queue group. The server sends each message to only one subscriber in the group. Default: none. */
	readonly queue?: string | undefined
}

/** The part of a NATS message that mesh-chain uses. */
export interface NatsMessage {
	/** Subject of the message. */
	readonly subject: string
	/** Payload of the message. */
	readonly data: Uint8Array
	/** Returns the payload, parsed as JSON. */
	json(): unknown
	/** Returns the payload as a string. */
	string(): string
}

/**
 * The part of a NATS connection that mesh-chain uses. It is declared here so that this package does not
 * depend on the NATS types.
 */
export interface NatsConnectionLike {
	/** Subscribes to a subject. */
	subscribe(
		subject: string,
		options: { callback: (error: Error | null, message: NatsMessage) => void; queue?: string },
	): { readonly closed: Promise<unknown>; unsubscribe(): void }
	/** Returns an iterable over the connection's status changes. */
	status(): AsyncIterable<{ readonly type: string; readonly server?: unknown }>
}

/**
 * Returns a source that subscribes to a subject. The caller opens the connection with `connect` from
 * `@nats-io/transport-node`, preferably with `maxReconnectAttempts: -1`, and owns it. While the connection is
 * lost, the source is disconnected. The NATS client renews the subscription automatically.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function fromNats(connection: NatsConnectionLike, subject: string, options: NatsOptions = {}): Source {
	const sample = checkMapping(options, ['decode', 'queue'])
	checkFunction('connection.subscribe', connection?.subscribe)
	checkName('subject', subject)
	const queue = ifGiven('queue', options.queue, checkName)
	const { decode = 'json' } = options
	checkWord('decode', decode, ['json', 'text', 'bytes'])
	const toSample = sample ?? ((message: NatsMessage) => ({ value: DECODERS[decode](message) }))
	return {
		async monitor(sink) {
			const callback = (error: Error | null, message: NatsMessage) => take(sink, error, message, toSample)
			const subscription = connection.subscribe(
				subject,
				queue === undefined ? { callback } : { callback, queue },
			)
			const unwatch = watch(connection, (cause) => sink.lost(cause))
			sink.opened()
			try {
				await Promise.race([ended(subscription.closed), aborted(sink.signal)])
			} finally {
				unwatch()
				subscription.unsubscribe()
			}
		},
	}
}

const DECODERS: Readonly<Record<NonNullable<NatsOptions['decode']>, (message: NatsMessage) => unknown>> = {
	json: (message) => message.json(),
	text: (message) => message.string(),
	bytes: ({ data }) => data,
}

function take(
	sink: SampleSink,
	error: Error | null,
	message: NatsMessage,
	toSample: ToSample<NatsMessage>,
): void {
	const sample = error === null ? sampleOf<NatsMessage>(message, toSample) : undefined
	if (error !== null) sink.lost(error)
	else if (sample !== undefined) sink.push(sample)
}

/**
 * Rejects when the subscription ends. If the server refuses a subscription, `closed` resolves to the error.
 */
async function ended(closed: Promise<unknown>): Promise<void> {
	throw (await closed) ?? new Error('the subscription was closed')
}

type Watcher = (cause: Error) => void

/** Watchers by connection. All sources that use a connection share one status reader. */
const watchers = processWide('nats-watchers', () => new WeakMap<NatsConnectionLike, Set<Watcher>>())

function watch(connection: NatsConnectionLike, watcher: Watcher): () => void {
	let set = watchers.get(connection)
	if (set === undefined) {
		set = new Set()
		watchers.set(connection, set)
		// The error is ignored, because a connection delivers messages even if its status changes cannot be read.
		const done = () => void watchers.delete(connection)
		tell(connection, set).then(done, done)
	}
	set.add(watcher)
	return () => void set.delete(watcher)
}

async function tell(connection: NatsConnectionLike, set: ReadonlySet<Watcher>): Promise<void> {
	for await (const status of connection.status()) {
		if (status.type !== 'disconnect') continue
		const cause = new Error(`the connection to ${status.server} was lost`)
		for (const watcher of [...set]) watcher(cause)
	}
}
