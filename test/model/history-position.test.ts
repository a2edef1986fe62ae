/** A position in history means the same for a player and for a state. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { type HistoryPosition, positionFrom } from '../../src/model/history-position.ts'
import { stateAt } from '../../src/recorder/state-at.ts'
import { Player } from '../../src/replay/player.ts'
import { temporaryFolder } from '../support/temporary.ts'

describe('values that describe a position', () => {
	test.each([
		[{ seq: 0 }, { seq: 0 }],
		[{ seq: 7, tsMs: undefined, more: 1 }, { seq: 7 }],
		[{ tsMs: -1.5 }, { tsMs: -1.5 }],
	])('%o', (value, position) => expect(positionFrom(value)).toEqual(position))

	test.each([
		undefined,
		null,
		5,
		{},
		{ seq: -1 },
		{ seq: 1.5 },
		{ seq: '1' },
		{ tsMs: Number.NaN },
		{ tsMs: Number.POSITIVE_INFINITY },
		{ seq: 1, tsMs: 1 },
	])('not %o', (value) => expect(positionFrom(value)).toBeUndefined())
})

/** Seqs 1 to 4 at the times 10, 20, 30 and 40. */
async function recorded() {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path))
	for (let tsMs = 10; tsMs <= 40; tsMs += 10) loop.publish({ kind: 'tick', tsMs })
	await loop.close()
	return openChain(path)
}

describe('before, at and after the edges of a chain', () => {
	test.each<[HistoryPosition, { readonly upTo: number; readonly from: number }]>([
		[{ seq: 0 }, { upTo: 0, from: 1 }],
		[{ tsMs: -1 }, { upTo: 0, from: 1 }],
		[{ tsMs: 9 }, { upTo: 0, from: 1 }],
		[{ seq: 1 }, { upTo: 1, from: 1 }],
		[{ tsMs: 10 }, { upTo: 1, from: 1 }],
		[{ tsMs: 25 }, { upTo: 2, from: 3 }],
		[{ seq: 4 }, { upTo: 4, from: 4 }],
		[{ tsMs: 40 }, { upTo: 4, from: 4 }],
		[{ seq: 5 }, { upTo: 4, from: 5 }],
		[{ tsMs: 41 }, { upTo: 4, from: 5 }],
	])(
		'%o: a player stops and a state ends at the same record, and a seek starts from it',
		async (position, { upTo, from }) => {
			await using chain = await recorded()
			const played: number[] = []
			const player = new Player(chain, ({ seq }) => void played.push(seq), { speed: 'max' })
			await player.playUntil(position)
			expect(played.length).toBe(upTo)
			expect(await stateAt(chain, position, { initial: 0, fold: (count) => count + 1 })).toBe(upTo)
			played.length = 0
			await player.seek(position)
			await player.play()
			expect(played).toEqual([1, 2, 3, 4].slice(from - 1))
		},
	)
})
