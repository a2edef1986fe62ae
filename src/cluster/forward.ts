/** Ships a chain to a stream: the file stays the truth, the stream gets a copy, and a cluster that is down costs nothing but delay. */
import { createHash } from 'node:crypto'
import type { Chain } from '../chain/chain.ts'
import { openChain } from '../chain/read/open-chain.ts'
import { openForReading } from '../chain/read/open-file.ts'
import { FileChain } from '../chain/read/reader.ts'
import { rowsOf } from '../chain/scan/frame-rows.ts'
import { type ConsumerCursor, CursorFile } from '../consume/cursor-file.ts'
import { lastOf } from '../consume/epoch-end.ts'
import { resumeAfter } from '../consume/resume.ts'
import { show } from '../guard/show.ts'
import { type ErrorCode, MeshChainError, messageOf } from '../model/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import { Backoff } from '../platform/backoff.ts'
import { report, warn } from '../platform/diagnostics.ts'
import { Sleeper, wait } from '../platform/wait.ts'
import { type Cluster, openCluster } from './connection.ts'
import { checkNotForked } from './fork-check.ts'
import { type ForwardOptions, type ResolvedForwardOptions, resolveForwardOptions } from './forward-options.ts'
import { MessageBuilder, NO_SUMS, type OutgoingMessage } from './message.ts'
import { Publisher, SentElsewhere } from './publisher.ts'
import { checkSame, type FoundStream, fitStream, isRefusal } from './stream.ts'
import { limitsOf, positionOf, positionsIn } from './stream-position.ts'
import { SubjectReader } from './subject-reader.ts'
import { subjectOf } from './subjects.ts'

export type ForwarderState = 'connecting' | 'forwarding' | 'waiting' | 'closed'

export interface ForwarderStats {
	/** `waiting`: everything that is in the chain is in the stream. */
	readonly state: ForwarderState
	/** The last record that the stream is known to have; epoch and seq are 0 when there is none, or it was not asked yet. */
	readonly acknowledged: ConsumerCursor
	/** Since this forwarder was made: records, gaps among them, their messages, and bytes of these. */
	readonly records: number
	readonly messages: number
	readonly bytes: number
	/** Records that no message can hold: a `$gap` stands for each in the stream. */
	readonly tooLarge: number
	/** How many seqs the stream was ahead of the file: a power loss took them from it, or it was cut, or replaced by an older copy. */
	readonly ahead: number
	/** Times that something failed and was tried again. */
	readonly failures: number
	/** Times that it worked again after failing. */
	readonly recoveries: number
	/** Times that the stream was asked how far it has come: at each beginning, and after each failure. */
	readonly resumes: number
	/** Undefined once something was acknowledged again, or the stream is known to have everything. */
	readonly lastError: string | undefined
}

/** A forwarder that is under way. */
export interface Forwarder extends AsyncDisposable {
	readonly path: string
	/** Resolves when it was closed; rejects when it ended by itself. */
	readonly done: Promise<void>
	stats(): ForwarderStats
	/** How many seqs the chain is ahead of what is acknowledged. */
	lag(): Promise<number>
	/**
	 * Resolves when the stream was asked and has everything that is in the chain by now.
	 *
	 * @throws {MeshChainError} what `done` rejects with, where the forwarder ends before; `FORWARD_FAILED` where it is closed before.
	 */
	flushed(): Promise<void>
	/** Waits for the message under way, and lets go. Idempotent. @throws {MeshChainError} what `done` rejects with. */
	close(): Promise<void>
}

/**
 * Publishes every record of a chain to a stream of JetStream, in order, each once, and goes on as the chain grows. It reads the file: beside the service that
 * writes it, or inside it. A cluster that cannot be reached is tried again for ever, and costs the service nothing.
 *
 * Each message holds many records of the chain and has one subject, `<subject>.<node>.<chain id>`. One message of a chain is under way at a time, and says which
 * one it expects before it: so the stream has them in the order of the chain, whoever was killed. Before anything is sent again, the stream is asked for its last
 * message of the chain; nothing depends on how long the servers remember ids. In a stream with replicas two messages without a body go before, so that nothing older is
 * under way any more. Where the stream has removed all of them by its limits, a cursor beside the chain,
 * `CHAIN.forward-….cursor`, says how far it was. One forwarder of a chain and a stream runs at a time.
 *
 * A chain stays under the subject that it has in the stream when its node is renamed. A stream that is deleted is waited for; when it is made again, it gets the chain
 * from its beginning. `MESH_CHAIN_FORWARD_FAILING` says that something fails, and `MESH_CHAIN_FORWARD_RECOVERED` that it works again.
 *
 * @param path of the chain's file, which has to be there.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `FILE_UNREADABLE`. `done` rejects with `STREAM_NOT_FOUND` where the stream never was there, `STREAM_UNFIT`, `CURSOR_IN_USE`,
 * `CHAIN_FORKED` where the stream has another life of the chain, as of a cloned machine, and what reading the chain throws; with `endWhenRefused` also with `STREAM_REFUSED`, and `CLUSTER_UNREACHABLE` where a password or the like is refused.
 *
 * @example
 * ```ts
 * import { forwardChain } from 'mesh-chain/cluster'
 *
 * await using forwarder = forwardChain('node.chain', { servers: 'nats://127.0.0.1:4222', create: { replicas: 1 } })
 * await forwarder.flushed()
 * console.log(forwarder.stats().acknowledged.seq)
 * ```
 */
export function forwardChain(path: string, options: ForwardOptions): Forwarder {
	return new ChainForwarder(path, resolveForwardOptions(path, options))
}

class ChainForwarder implements Forwarder {
	readonly path: string
	readonly done: Promise<void>
	readonly #options: ResolvedForwardOptions
	readonly #over = new AbortController()
	readonly #counts = {
		records: 0,
		messages: 0,
		bytes: 0,
		tooLarge: 0,
		ahead: 0,
		failures: 0,
		recoveries: 0,
		resumes: 0,
	}
	readonly #waiters = new Set<() => void>()
	#chain: FileChain | undefined
	#cluster: Cluster | undefined
	#file: CursorFile | undefined
	#savedMs = Number.NEGATIVE_INFINITY
	#lookedMs = Number.NEGATIVE_INFINITY
	/** Sleeps until more has come together for the next message; woken when someone waits for that message. */
	readonly #linger = new Sleeper()
	#state: ForwarderState = 'connecting'
	/** Undefined until the stream was asked. */
	#acknowledged: ConsumerCursor | undefined
	#lastError: unknown

	constructor(path: string, options: ResolvedForwardOptions) {
		this.path = path
		this.#options = options
		this.done = this.#run()
		// Whoever does not look at it hears of it by the warning.
		this.done.catch(() => {})
	}

	stats(): ForwarderStats {
		return {
			state: this.#state,
			acknowledged: this.#acknowledged ?? NOTHING,
			...this.#counts,
			lastError: this.#lastError === undefined ? undefined : messageOf(this.#lastError),
		}
	}

	async lag(): Promise<number> {
		return Math.max(0, (await this.#lastSeq()) - (this.#acknowledged ?? NOTHING).seq)
	}

	async flushed(): Promise<void> {
		const wanted = await this.#lastSeq()
		while (this.#acknowledged === undefined || this.#acknowledged.seq < wanted) {
			const acknowledged = new Promise<void>((resolve) => this.#waiters.add(resolve))
			this.#linger.wake()
			const ended = this.done.then(() => Promise.reject(closedEarly(this.path)))
			await Promise.race(this.#state === 'closed' ? [ended] : [acknowledged, ended])
		}
	}

	async close(): Promise<void> {
		this.#over.abort()
		this.#linger.wake()
		await this.done
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	get #isOver(): boolean {
		return this.#over.signal.aborted
	}

	async #lastSeq(): Promise<number> {
		const chain = await openChain(this.path, { fs: this.#options.system })
		try {
			return (await lastOf(chain))?.seq ?? 0
		} finally {
			await chain.close()
		}
	}

	async #run(): Promise<void> {
		try {
			this.#chain = new FileChain(await openForReading(this.path, this.#options.system))
			const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
			while (!this.#isOver) {
				const { messages } = this.#counts
				try {
					await this.#forward(this.#chain)
				} catch (error) {
					if (!this.#triesAgain(error)) throw error
					this.#failed(error)
				}
				if (this.#counts.messages > messages) backoff.reset()
				await wait(backoff.next(), this.#over.signal)
			}
		} catch (error) {
			this.#lastError = error
			warn('FORWARDER_ENDED', `the forwarder of ${show(this.path)} has ended: ${messageOf(error)}`)
			throw error
		} finally {
			this.#state = 'closed'
			await this.#cluster?.close()
			await this.#chain?.close()
			this.#file?.close()
			this.#wake()
		}
	}

	/** From where the stream is on, for as long as nothing fails. */
	async #forward(chain: FileChain): Promise<void> {
		this.#state = 'connecting'
		const { stream, prefix, create, connection, messageBytes, pollMs } = this.#options
		this.#cluster ??= await openCluster(connection)
		const info = await fitStream(this.#cluster, stream, prefix, create)
		const node = this.#options.node ?? (await nodeOf(chain))
		const { chainId } = chain
		const file = this.#cursorFile(chain, `${stream}@${info.created}`)
		this.#counts.resumes++
		const found = { name: stream, created: info.created }
		const chainIn = { prefix, chainId }
		const places = await positionsIn(this.#cluster, stream, chainIn)
		for (const each of places) {
			const source = { subject: each.subject, node, chainId }
			await checkNotForked(chain, new SubjectReader(this.#cluster, found, source), each.place.last)
		}
		const wanted = subjectOf(prefix, node, chainId)
		const [first] = places
		const subject = first?.subject ?? wanted
		const place = first?.place ?? (await positionOf(this.#cluster, stream, wanted, chainId))
		const { last } = place
		const builder = new MessageBuilder(
			chainId,
			limitsOf(this.#cluster, info, messageBytes),
			last?.sums ?? NO_SUMS,
		)
		// Without a message there: as far as this forwarder was, or the one before it.
		const cursor = last ?? this.#acknowledged ?? file.found ?? NOTHING
		// A power loss may have taken records from the chain that the stream has: others have their seqs now.
		let seq = await resumeAfter(chain, cursor)
		if (last !== undefined && seq < last.seq) this.#isBehind(seq, last.seq)
		// An answer that was lost is made up for.
		if (last !== undefined && last.seq > (this.#acknowledged?.seq ?? 0)) this.#recovered()
		this.#acknowledge({ epoch: cursor.epoch, seq })
		const isReplicated = info.config.num_replicas > 1
		const publisher = new Publisher(this.#cluster, this.#options, subject, place, isReplicated, (message) =>
			this.#took(message),
		)
		let isFirst = places.length === 0
		const send = async () => {
			const messages = builder.take()
			for (const message of messages) await publisher.publish(message)
			if (!isFirst || messages.length === 0) return
			isFirst = false
			await publisher.settled()
			// Another forwarder may have begun with the same chain under another name at the same time.
			if ((await positionsIn(this.#cluster!, stream, chainIn)).length > 1) throw new SentElsewhere()
		}
		for await (const batch of chain.followFrames({ afterSeq: seq, pollMs, signal: this.#over.signal })) {
			this.#state = 'forwarding'
			for (const { frame, gap } of batch) {
				if (frame === undefined) builder.add(gap)
				else if (frame.baseSeq > seq) builder.addFrame(frame)
				else for (const record of rowsOf(frame) ?? []) if (record.seq > seq) builder.add(record)
				seq = frame === undefined ? gap.seq : frame.baseSeq + frame.rows - 1
				if (builder.isFull) await send()
			}
			if (batch.length > 0) continue
			await send()
			await publisher.settled()
			await this.#save(file)
			await this.#lookForStream(this.#cluster, found)
			this.#recovered()
			this.#state = 'waiting'
			this.#wake()
			if (!this.#isOver) await this.#linger.sleep(this.#options.lingerMs)
		}
		await send()
		await publisher.settled()
		await file.save(this.#acknowledged ?? NOTHING)
	}

	/** Now and then: it counts where the stream has removed everything, and nowhere else. */
	async #save(file: CursorFile): Promise<void> {
		const nowMs = performance.now()
		if (nowMs - this.#savedMs < SAVE_MS) return
		this.#savedMs = nowMs
		await file.save(this.#acknowledged ?? NOTHING)
	}

	/** Now and then: a stream that was made again has nothing of what it had, and nothing else says so while the chain does not grow. */
	async #lookForStream(cluster: Cluster, found: FoundStream): Promise<void> {
		const nowMs = performance.now()
		if (nowMs - this.#lookedMs < LOOK_MS) return
		await checkSame(cluster, found)
		this.#lookedMs = nowMs
	}

	/** Of this chain in this stream; a stream that was made anew begins anew, also while this runs. */
	#cursorFile(chain: Chain, stream: string): CursorFile {
		const name = createHash('sha256').update(stream).digest('hex').slice(0, 12)
		const path = `${this.path}.forward-${name}.cursor`
		if (this.#file?.path === path) return this.#file
		this.#file?.close()
		this.#file = undefined
		this.#acknowledged = undefined
		this.#file = new CursorFile(this.#options.system, path, chain.chainId, 'forwarder')
		return this.#file
	}

	#took(message: OutgoingMessage): void {
		this.#counts.messages++
		this.#counts.records += message.records
		this.#counts.bytes += message.body.length
		this.#counts.tooLarge += message.tooLarge
		// A cursor that cannot be kept has nothing to do with the servers.
		if (codeIn(this.#lastError) !== 'CURSOR_FAILED') this.#recovered()
		this.#acknowledge({ epoch: message.epoch, seq: message.lastSeq })
	}

	#acknowledge(cursor: ConsumerCursor): void {
		this.#acknowledged = cursor
		this.#wake()
	}

	#wake(): void {
		for (const waiter of this.#waiters) waiter()
		this.#waiters.clear()
	}

	#failed(error: unknown): void {
		this.#counts.failures++
		if (this.#cluster?.connection.isClosed()) this.#cluster = undefined
		if (this.#lastError === undefined) {
			warn(
				'FORWARD_FAILING',
				`cannot forward ${show(this.path)}: ${messageOf(error)}; it tries again, and nothing is lost: the chain has it`,
			)
		}
		this.#lastError = error
		report('failing', { source: this, error })
	}

	#recovered(): void {
		if (this.#lastError === undefined) return
		this.#lastError = undefined
		this.#counts.recoveries++
		warn('FORWARD_RECOVERED', `${show(this.path)} is forwarded again`)
		report('recovered', { source: this })
	}

	#triesAgain(error: unknown): boolean {
		const isAway = codeIn(error) === 'STREAM_NOT_FOUND'
		// A stream that was there may be made again; one that never was is a wrong name.
		if (isAway && this.#counts.resumes === 0) return false
		const isRefused = isAway || isRefusal(error) || this.#cluster?.refusal() !== undefined
		if (isRefused && this.#options.endWhenRefused) return false
		return error instanceof SentElsewhere || PASSING.includes(codeIn(error))
	}

	/** What is in the file by now is in the stream, or will be: what it had, and was forwarded, is in the stream only. */
	#isBehind(seq: number, streamSeq: number): void {
		if (this.#counts.ahead > 0) return
		this.#counts.ahead = streamSeq - seq
		warn(
			'CHAIN_BEHIND',
			`the stream ${show(this.#options.stream)} has records up to seq ${streamSeq} of ${show(this.path)}, and of those the file only the ones up to seq ${seq}: a power loss took the others, or it was cut or replaced by an older copy; the stream keeps them, and mesh-chain pull makes a file of them`,
		)
	}
}

const NOTHING: ConsumerCursor = { epoch: 0, seq: 0 }
const PASSING: readonly (ErrorCode | undefined)[] = [
	'CLUSTER_UNREACHABLE',
	'STREAM_NOT_FOUND',
	'STREAM_REPLACED',
	'STREAM_REFUSED',
	'CURSOR_FAILED',
]

function codeIn(error: unknown): ErrorCode | undefined {
	return error instanceof MeshChainError ? error.code : undefined
}

function closedEarly(path: string): MeshChainError {
	return new MeshChainError(
		'FORWARD_FAILED',
		`the forwarder of ${show(path)} was closed before everything was acknowledged`,
		{ path },
	)
}

/** Of the first record that names one. */
async function nodeOf(chain: Chain): Promise<string> {
	for await (const batch of chain.batches({ limit: NODE_RECORDS_MAX })) {
		const named = batch.find((record: LogRecord) => !isGap(record) && record.nodeId !== null)
		if (named !== undefined) return String(named.nodeId)
	}
	return 'node'
}

const NODE_RECORDS_MAX = 1000
const SAVE_MS = 1_000
/** How often a forwarder that has nothing to send asks whether its stream is still the same. */
const LOOK_MS = 10_000
