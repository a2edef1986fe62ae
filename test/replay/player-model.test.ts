/**
 * A player against a model of it: any sequence of playing to positions, steps and seeks, with any combination
 * of options.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { HistoryPosition } from '../../src/model/history-position.ts'
import { Player } from '../../src/replay/player.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { record } from '../support/records.ts'

const PATH = '/service/node.chain'
const T0 = 1_714_200_000_000
const STEP_MS = 1000
/** More than any move of the test may deliver. */
const HANDED_MAX = 100

interface Setting {
	readonly records: number
	/** Seqs that pass the filter: the others have a lower level. */
	readonly seqs: readonly number[]
	readonly limit: number | undefined
	readonly loop: boolean
	readonly toSeq: number
	readonly speed: 'max' | number
}

type Move =
	| { readonly until: HistoryPosition }
	| { readonly steps: number }
	| { readonly seek: HistoryPosition }

/** The seqs that each move delivers. */
class Model {
	readonly #window: readonly number[]
	readonly #limit: number
	readonly #loop: boolean
	#at = 0
	#taken = 0

	constructor({ seqs, limit, loop, toSeq }: Setting) {
		this.#window = seqs.filter((seq) => seq <= toSeq)
		this.#limit = limit ?? Number.POSITIVE_INFINITY
		this.#loop = loop
	}

	make(move: Move): number[] {
		if ('seek' in move) {
			this.#at = this.#window.findIndex((seq) => !isBefore(seq, move.seek))
			if (this.#at === -1) this.#at = this.#window.length
			this.#taken = 0
			return []
		}
		const handed: number[] = []
		for (;;) {
			if ('steps' in move && handed.length === move.steps) return handed
			const next = this.#taken < this.#limit ? this.#window[this.#at] : undefined
			if (next === undefined) {
				if (!this.#loop || !this.#beginAgain() || 'until' in move) return handed
			} else {
				if ('until' in move && isAfter(next, move.until)) return handed
				handed.push(next)
				this.#at++
				this.#taken++
				if ('until' in move && 'seq' in move.until && next >= move.until.seq) return handed
			}
		}
	}

	/** @returns whether there is anything to start again with. */
	#beginAgain(): boolean {
		this.#at = 0
		this.#taken = 0
		return this.#window.length > 0 && this.#limit > 0
	}
}

const timeOf = (seq: number) => T0 + seq * STEP_MS
const isBefore = (seq: number, place: HistoryPosition) =>
	'seq' in place ? seq < place.seq : timeOf(seq) < place.tsMs
const isAfter = (seq: number, place: HistoryPosition) =>
	'seq' in place ? seq > place.seq : timeOf(seq) > place.tsMs

const setting: fc.Arbitrary<Setting> = fc.integer({ min: 0, max: 8 }).chain((records) =>
	fc.record({
		records: fc.constant(records),
		seqs: fc.subarray(Array.from({ length: records }, (_unused, index) => index + 1)),
		limit: fc.option(fc.integer({ min: 0, max: 10 }), { nil: undefined }),
		loop: fc.boolean(),
		toSeq: fc.integer({ min: 0, max: 10 }),
		speed: fc.constantFrom('max' as const, 1, 60),
	}),
)
const place: fc.Arbitrary<HistoryPosition> = fc.oneof(
	fc.record({ seq: fc.integer({ min: 0, max: 11 }) }),
	fc.record({ tsMs: fc.integer({ min: -2, max: 22 }).map((half) => T0 + (half * STEP_MS) / 2) }),
)
const move: fc.Arbitrary<Move> = fc.oneof(
	fc.record({ until: place }),
	fc.record({ steps: fc.integer({ min: 1, max: 12 }) }),
	fc.record({ seek: place }),
)

async function playerOf({ records, seqs, limit, loop, toSeq, speed }: Setting) {
	const fs = new MemoryFileSystem()
	const appender = new FileChainAppender(PATH, { fs })
	for (let seq = 1; seq <= records; seq++)
		appender.append(record(seq, { tsMs: timeOf(seq), level: seqs.includes(seq) ? 'warn' : 'debug' }))
	await appender.close()
	const chain = await openChain(PATH, { fs })
	const clock = new ManualClock()
	const handed: number[] = []
	const options = {
		clock,
		loop,
		toSeq,
		speed,
		level: 'warn',
		...(limit === undefined ? {} : { limit }),
	} as const
	const player: Player = new Player(
		chain,
		({ seq }) => {
			// A player that misses its position would loop forever.
			if (handed.push(seq) > HANDED_MAX) player.stop()
		},
		options,
	)
	return { chain, clock, handed, player }
}

test('any sequence of moves delivers what the model predicts', { timeout: 120_000 }, async () => {
	await fc.assert(
		fc.asyncProperty(setting, fc.array(move, { minLength: 1, maxLength: 6 }), async (chosen, moves) => {
			const model = new Model(chosen)
			const { chain, clock, handed, player } = await playerOf(chosen)
			for (const each of moves) {
				const done =
					'until' in each
						? player.playUntil(each.until)
						: 'steps' in each
							? player.step(each.steps)
							: player.seek(each.seek)
				await clock.runUntil(done)
				expect(handed.splice(0)).toEqual(model.make(each))
			}
			player.stop()
			await chain.close()
		}),
		{ numRuns: 150, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
	)
})
