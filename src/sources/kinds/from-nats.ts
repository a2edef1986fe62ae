/** A source that is a subject of NATS. It cannot wait: the server sends. */

import { checkFunction, checkName, checkWord, ifGiven } from '../../model/check.ts'
import { processWide } from '../../platform/process-wide.ts'
import { aborted } from '../../platform/wait.ts'
import type { SampleSink, Source } from '../source.ts'
import { checkMapping, type MappingOptions, sampleOf, type ToSample } from './mapping.ts'

export interface NatsOptions extends MappingOptions<NatsMessage> {
	/** What the value is made of where no `sample` is given. Default `'json'`; what cannot be parsed is garbage. */
	readonly decode?: 'json' | 'text' | 'bytes'
	/** Servers divide the messages among the subscribers of one queue group. */
	readonly queue?: string
}

/** What is used of a message. */
export interface NatsMessage {
	readonly subject: string
	readonly data: Uint8Array
	json(): unknown
	string(): string
}

/** What is used of a connection: written out, so that who has no NATS needs no types of it. */
export interface NatsConnectionLike {
	subscribe(
		subject: string,
		options: { callback: (error: Error | null, message: NatsMessage) => void; queue?: string },
	): { readonly closed: Promise<unknown>; unsubscribe(): void }
	status(): AsyncIterable<{ readonly type: string; readonly server?: unknown }>
}

/**
 * Monitors a subject over a connection that was made by `connect` of `@nats-io/transport-node` and stays its owner's; give that
 * `maxReconnectAttempts: -1`. While the connection is lost the source is disconnected; the client subscribes again by itself.
 */
export function fromNats(connection: NatsConnectionLike, subject: string, options: NatsOptions = {}): Source {
	const sample = checkMapping(options, ['decode', 'queue'])
	checkFunction('connection.subscribe', connection?.subscribe)
	checkName('subject', subject)
	const queue = ifGiven('queue', options.queue, checkName)
	const decode = checkWord('decode', options.decode ?? 'json', ['json', 'text', 'bytes'])
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

/** A subscription that is refused says so as it closes. */
async function ended(closed: Promise<unknown>): Promise<void> {
	throw (await closed) ?? new Error('the subscription was closed')
}

type Watcher = (cause: Error) => void

/** One reader of each connection's statuses, however many sources it has. */
const watchers = processWide('nats-watchers', () => new WeakMap<NatsConnectionLike, Set<Watcher>>())

function watch(connection: NatsConnectionLike, watcher: Watcher): () => void {
	let set = watchers.get(connection)
	if (set === undefined) {
		set = new Set()
		watchers.set(connection, set)
		// A connection that tells nothing of itself is still one.
		tell(connection, set).catch(() => {})
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
