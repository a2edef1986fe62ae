/** Provides a source that a test controls, and a manager whose samples it can inspect. */
import { onTestFinished, vi } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { SourceManager, type SourceManagerOptions } from '../../src/sources/index.ts'
import type { SampleData } from '../../src/sources/managed-source.ts'
import type { SampleSink, Source } from '../../src/sources/source.ts'

interface Subscription {
	readonly sink: SampleSink
	readonly end: () => void
	readonly fail: (cause: unknown) => void
}

/** A source whose attempts to subscribe last until the test or their signal ends them. */
export class ScriptedSource implements Source {
	readonly attempts: Subscription[] = []
	readonly fieldAttempts: (Subscription & { readonly field: string })[] = []
	/** Number of times that its end was called. */
	ended = 0

	monitor(sink: SampleSink): Promise<void> {
		return subscribed(sink, (subscription) => this.attempts.push(subscription))
	}

	monitorField(field: string, sink: SampleSink): Promise<void> {
		return subscribed(sink, (subscription) => this.fieldAttempts.push({ ...subscription, field }))
	}

	end(): void {
		this.ended++
	}

	get sink(): SampleSink {
		return this.attempts.at(-1)!.sink
	}

	push(value: unknown, tsMs?: number): void {
		this.sink.push(tsMs === undefined ? { value } : { value, tsMs })
	}

	fail(text = 'gone'): void {
		this.attempts.at(-1)!.fail(new Error(text))
	}

	/** Returns the newest attempt for a field. */
	field(name: string): Subscription {
		return this.fieldAttempts.findLast(({ field }) => field === name)!
	}
}

function subscribed(sink: SampleSink, keep: (subscription: Subscription) => unknown): Promise<void> {
	return new Promise((resolve, reject) => {
		keep({ sink, end: resolve, fail: reject })
		sink.signal.addEventListener('abort', () => resolve())
	})
}

/** An appender whose disk is full as long as the test requires. */
export class FullAppender extends BufferingAppender {
	isFull = true

	constructor() {
		super({ capacity: 1_000_000 })
	}

	override append(record: LogRecord): void {
		if (this.isFull) throw new Error('no space left on the disk')
		super.append(record)
	}
}

export interface Managed<A extends BufferingAppender> {
	readonly manager: SourceManager
	readonly loop: MeshLoop
	readonly appender: A
	/** Returns the samples of a source in the chain, or of all sources. */
	samples(name?: string): (LogRecord & { readonly data: SampleData })[]
	values(name?: string): unknown[]
}

/** Creates a manager over a loop, both closed at the end of the test. */
export function managerOf<A extends BufferingAppender = BufferingAppender>(
	options: SourceManagerOptions = {},
	appender = new BufferingAppender({ capacity: 1_000_000 }) as A,
): Managed<A> {
	const loop = new MeshLoop(appender)
	const manager = new SourceManager(loop, options)
	onTestFinished(async () => {
		if (appender instanceof FullAppender) appender.isFull = false
		const closed = manager.close().then(() => loop.close())
		// Waits that began under fake timers end under them too.
		if (vi.isFakeTimers()) await vi.advanceTimersByTimeAsync(10_000)
		await closed
	})
	const samples = (name?: string) =>
		appender
			.captured()
			.filter(({ kind, daemonId }) => kind === 'sample' && (name === undefined || daemonId === name))
	return {
		manager,
		loop,
		appender,
		samples: samples as Managed<A>['samples'],
		values: (name) => samples(name).map(({ data }) => (data as SampleData).value),
	}
}
