/**
 * Forwards a chain to a stream. The file remains the source of truth, and the stream receives a copy. If the
 * cluster is down, forwarding is only delayed.
 */
import { createHash } from 'node:crypto'
import { type Chain, type FileChain, openChain, openFileChain, rowsOf } from '../chain/index.ts'
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
import { openPublisher, PositionTaken, type Publisher } from './exactly-once-publisher.ts'
import { checkNotForked } from './fork-check.ts'
import { type ForwardOptions, type ResolvedForwardOptions, resolveForwardOptions } from './forward-options.ts'
import type { Forwarder, ForwarderState, ForwarderStats } from './forwarder.ts'
import type { MessageBuilder, OutgoingMessage } from './message-builder.ts'
import { checkSame, type FoundStream, fitStream, isRefusal } from './stream.ts'
import { type LastMessage, positionOf, positionsIn } from './stream-position.ts'
import { SubjectReader } from './subject-reader.ts'
import { subjectOf } from './subjects.ts'

/**
 * Publishes every record of a chain to a JetStream stream, in order and exactly once, and follows the chain
 * as it grows. The forwarder reads the file, so it can run inside the service that writes the chain or in a
 * separate process. If the cluster is unreachable, the forwarder retries indefinitely without slowing the
 * service down.
 *
 * Each message contains many records. All messages of a chain have the same subject,
 * `<subjectPrefix>.<node>.<chain id>`. Only one message of a chain is in flight at a time, and each message
 * states which message must precede it. The stream therefore preserves the order of the chain, no matter
 * which process is killed. Before the forwarder resends a message, it asks the stream for the last message of
 * the chain. Correctness does not depend on how long the servers remember message ids. In a stream with
 * replicas, the forwarder first sends two messages without a body, to ensure that no older message is in
 * flight. A cursor file next to the chain, `CHAIN.forward-….cursor`, stores the position in case the stream
 * removes all messages because of its limits. At most one forwarder can run for each combination of chain and
 * stream.
 *
 * A chain keeps its subject in the stream when its node is renamed. If the stream is deleted, the forwarder
 * waits until the stream is created again, and then sends the chain from the beginning. The warnings
 * `MESH_CHAIN_FORWARD_FAILING` and `MESH_CHAIN_FORWARD_RECOVERED` report the first failure and the recovery.
 *
 * @param path Path of the chain file, which must exist.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `FILE_UNREADABLE`. `done` rejects with
 * `STREAM_NOT_FOUND` if the forwarder has never found the stream; with `CHAIN_FORKED` if the stream contains
 * another fork of the chain, for example from a cloned machine; or with `STREAM_UNFIT`, `CURSOR_IN_USE` or an
 * error from reading the chain. With `endWhenRefused`, `done` also rejects with `STREAM_REFUSED`, with
 * `STREAM_NOT_FOUND` if the stream is deleted, and with `CLUSTER_UNREACHABLE` if the servers refuse the
 * credentials.
 *
 * @example
 * ```ts
 * import { forwardChain } from 'mesh-chain/cluster'
 *
 * await using forwarder = forwardChain('node.chain', {
 *   servers: 'nats://127.0.0.1:4222',
 *   create: { replicas: 1 },
 * })
 * await forwarder.flushed()
 * console.log(forwarder.stats().acknowledged.seq)
 * ```
 */
export function forwardChain(path: string, options: ForwardOptions): Forwarder {
	return new ChainForwarder(path, resolveForwardOptions(path, options))
}

const NOTHING: ConsumerCursor = { epoch: 0, seq: 0 }
/** Codes of the errors after which the forwarder retries. */
const RETRIED_CODES: readonly (ErrorCode | undefined)[] = [
	'CLUSTER_UNREACHABLE',
	'STREAM_NOT_FOUND',
	'STREAM_REPLACED',
	'STREAM_REFUSED',
	'CURSOR_FAILED',
]
/** Maximum number of records to search for the node name. */
const NODE_RECORDS_MAX = 1000
/** Minimum interval between saves of the cursor. */
const SAVE_MS = 1_000
/** Interval at which an idle forwarder checks that its stream has not been replaced. */
const CHECK_STREAM_MS = 10_000

/**
 * The state of a forwarder, from the time when it determines its position in the stream until the next
 * failure.
 */
interface Sending {
	readonly cluster: Cluster
	readonly found: FoundStream
	readonly builder: MessageBuilder
	readonly publisher: Publisher
	readonly file: CursorFile
	/** Last seq in the file that the stream already has. */
	readonly seq: number
	/** Whether the stream had no messages of the chain, and none has been sent since. */
	isFirst: boolean
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
	#checkedMs = Number.NEGATIVE_INFINITY
	/** Delay during which records accumulate for the next message. `flushed()` and `close()` end it. */
	readonly #linger = new Sleeper()
	#state: ForwarderState = 'connecting'
	/** Last record that the stream has confirmed; undefined until the stream has answered. */
	#acknowledged: ConsumerCursor | undefined
	#lastError: unknown

	constructor(path: string, options: ResolvedForwardOptions) {
		this.path = path
		this.#options = options
		this.done = this.#run()
		// A caller that does not await `done` still sees the warning.
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
		const chain = await openChain(this.path, { fs: this.#options.fs })
		try {
			return (await lastOf(chain))?.seq ?? 0
		} finally {
			await chain.close()
		}
	}

	async #run(): Promise<void> {
		try {
			this.#chain = await openFileChain(this.path, this.#options.fs)
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

	/** Continues from the position in the stream until something fails or the forwarder is closed. */
	async #forward(chain: FileChain): Promise<void> {
		this.#state = 'connecting'
		this.#cluster ??= await openCluster(this.#options.connection)
		const sending = await this.#resume(chain, this.#cluster)
		await this.#follow(chain, sending)
		await this.#flush(sending)
		await sending.file.save(this.#acknowledged ?? NOTHING)
	}

	/** Asks the stream where the chain ends, and prepares to send from there. */
	async #resume(chain: FileChain, cluster: Cluster): Promise<Sending> {
		const { stream, subjectPrefix: prefix, create, messageBytes, ackTimeoutMs } = this.#options
		const info = await fitStream(cluster, stream, prefix, create)
		const node = this.#options.node ?? (await nodeOf(chain))
		const { chainId } = chain
		const file = this.#cursorFile(chain, `${stream}@${info.created}`)
		this.#counts.resumes++
		const found = { name: stream, created: info.created }
		const positions = await positionsIn(cluster, stream, { prefix, chainId })
		for (const { subject, position } of positions) {
			const source = { subject, node, chainId }
			await checkNotForked(chain, new SubjectReader(cluster, found, source), position.last)
		}
		const wanted = subjectOf(prefix, node, chainId)
		const [first] = positions
		const subject = first?.subject ?? wanted
		const position = first?.position ?? (await positionOf(cluster, stream, wanted, chainId))
		const seq = await this.#resumeAfter(chain, position.last, file)
		const sender = openPublisher(
			cluster,
			{ chainId, subject, info, position },
			{ stream, messageBytes, ackTimeoutMs, onAcknowledged: (message) => this.#onAcknowledged(message) },
		)
		return { cluster, found, ...sender, file, seq, isFirst: positions.length === 0 }
	}

	/** Returns the last seq that does not need to be sent. */
	async #resumeAfter(chain: FileChain, last: LastMessage | undefined, file: CursorFile): Promise<number> {
		// If the stream has no messages, this forwarder or the cursor file of an earlier one may have the
		// position.
		const cursor = last ?? this.#acknowledged ?? file.found ?? NOTHING
		// A power loss may have removed forwarded records from the file, and other records may now have their
		// seqs.
		const seq = await resumeAfter(chain, cursor)
		if (last !== undefined && seq < last.seq) this.#warnThatFileLags(seq, last.seq)
		// The stream has a message whose acknowledgement was lost.
		if (last !== undefined && last.seq > (this.#acknowledged?.seq ?? 0)) this.#recovered()
		this.#acknowledge({ epoch: cursor.epoch, seq })
		return seq
	}

	/** Sends the frames of the file as it grows, until the forwarder is closed. */
	async #follow(chain: FileChain, sending: Sending): Promise<void> {
		const { pollIntervalMs, lingerMs } = this.#options
		const { builder } = sending
		let { seq } = sending
		for await (const batch of chain.followFrames({
			afterSeq: seq,
			pollIntervalMs,
			signal: this.#over.signal,
		})) {
			this.#state = 'forwarding'
			for (const { frame, gap } of batch) {
				if (frame === undefined) builder.add(gap)
				else if (frame.baseSeq > seq) builder.addFrame(frame)
				else for (const record of rowsOf(frame) ?? []) if (record.seq > seq) builder.add(record)
				seq = frame === undefined ? gap.seq : frame.baseSeq + frame.rows - 1
				if (builder.isFull) await this.#send(sending)
			}
			if (batch.length > 0) continue
			await this.#flush(sending)
			await this.#save(sending.file)
			await this.#checkStream(sending)
			this.#recovered()
			this.#state = 'waiting'
			this.#wake()
			if (!this.#isOver) await this.#linger.sleep(lingerMs)
		}
	}

	async #send(sending: Sending): Promise<void> {
		const { cluster, builder, publisher } = sending
		const messages = builder.take()
		for (const message of messages) await publisher.publish(message)
		if (!sending.isFirst || messages.length === 0) return
		sending.isFirst = false
		await publisher.settled()
		// Another forwarder may have started sending the same chain under another node name at the same time.
		const { stream, subjectPrefix: prefix } = this.#options
		const positions = await positionsIn(cluster, stream, { prefix, chainId: this.#chain!.chainId })
		if (positions.length > 1) throw new PositionTaken()
	}

	/** Sends all remaining records, and waits until they are acknowledged. */
	async #flush(sending: Sending): Promise<void> {
		await this.#send(sending)
		await sending.publisher.settled()
	}

	/**
	 * Saves the cursor, at most once per {@link SAVE_MS}. The cursor is needed only after the stream has
	 * removed all messages of the chain.
	 */
	async #save(file: CursorFile): Promise<void> {
		const nowMs = performance.now()
		if (nowMs - this.#savedMs < SAVE_MS) return
		this.#savedMs = nowMs
		await file.save(this.#acknowledged ?? NOTHING)
	}

	/**
	 * Checks periodically that the stream has not been deleted and created again. While the chain does not
	 * grow, nothing else would detect this.
	 */
	async #checkStream({ cluster, found }: Sending): Promise<void> {
		const nowMs = performance.now()
		if (nowMs - this.#checkedMs < CHECK_STREAM_MS) return
		await checkSame(cluster, found)
		this.#checkedMs = nowMs
	}

	/**
	 * Opens the cursor file for this chain and stream. A stream that was created again gets a new cursor file.
	 */
	#cursorFile(chain: Chain, stream: string): CursorFile {
		const name = createHash('sha256').update(stream).digest('hex').slice(0, 12)
		const path = `${this.path}.forward-${name}.cursor`
		if (this.#file?.path === path) return this.#file
		this.#file?.close()
		this.#file = undefined
		this.#acknowledged = undefined
		this.#file = new CursorFile(this.#options.fs, path, chain.chainId, 'forwarder')
		return this.#file
	}

	#onAcknowledged(message: OutgoingMessage): void {
		this.#counts.messages++
		this.#counts.records += message.records
		this.#counts.bytes += message.body.length
		this.#counts.tooLarge += message.tooLarge.length
		// An acknowledgement does not show that the cursor can be saved again.
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
				`cannot forward ${show(this.path)}: ${messageOf(error)}; the forwarder retries, and the ` +
					'chain keeps all records',
			)
		}
		this.#lastError = error
		report('failing', { source: this, error })
	}

	#recovered(): void {
		if (this.#lastError === undefined) return
		this.#lastError = undefined
		this.#counts.recoveries++
		warn('FORWARD_RECOVERED', `${show(this.path)} is being forwarded again`)
		report('recovered', { source: this })
	}

	#triesAgain(error: unknown): boolean {
		const isAway = codeIn(error) === 'STREAM_NOT_FOUND'
		// A stream that was found earlier may be created again. If it was never found, the name is assumed to be
		// wrong.
		if (isAway && this.#counts.resumes === 0) return false
		const isRefused = isAway || isRefusal(error) || this.#cluster?.refusal() !== undefined
		if (isRefused && this.#options.endWhenRefused) return false
		return error instanceof PositionTaken || RETRIED_CODES.includes(codeIn(error))
	}

	/** Warns that the file has lost records that were already forwarded to the stream. */
	#warnThatFileLags(seq: number, streamSeq: number): void {
		if (this.#counts.ahead > 0) return
		this.#counts.ahead = streamSeq - seq
		warn(
			'CHAIN_BEHIND',
			`the stream ${show(this.#options.stream)} has records of ${show(this.path)} up to seq ` +
				`${streamSeq}, but the file ends at seq ${seq}: a power loss removed the later records, or the ` +
				'file was truncated or replaced with an older copy. The stream keeps these records, and ' +
				'mesh-chain pull writes them to a file',
		)
	}
}

function codeIn(error: unknown): ErrorCode | undefined {
	return error instanceof MeshChainError ? error.code : undefined
}

function closedEarly(path: string): MeshChainError {
	return new MeshChainError(
		'FORWARD_FAILED',
		`the forwarder of ${show(path)} was closed before all records were acknowledged`,
		{ path },
	)
}

/**
 * Returns the node of the first record that has one, or `'node'` if none of the first `NODE_RECORDS_MAX`
 * records does.
 */
async function nodeOf(chain: Chain): Promise<string> {
	for await (const batch of chain.batches({ limit: NODE_RECORDS_MAX })) {
		const named = batch.find((record: LogRecord) => !isGap(record) && record.nodeId !== null)
		if (named !== undefined) return String(named.nodeId)
	}
	return 'node'
}
