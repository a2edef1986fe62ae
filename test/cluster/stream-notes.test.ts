/** Warnings about the messages of a chain: each cause is told once, whatever was told before. */
import { expect, test } from 'vitest'
import type { ChainReader } from '../../src/cluster/chain-reader.ts'
import { StreamNotes } from '../../src/cluster/stream-notes.ts'
import type { StreamMessage } from '../../src/cluster/subject-reader.ts'
import { warnings } from '../loop/observed.ts'

const damaged = (streamSeq: number) =>
	({ streamSeq, subject: 's', frames: [], isWhole: false, bytes: 50 }) as unknown as StreamMessage

test.each([
	['without a fork', [], 0, 0],
	['beside a fork', [{ subject: 'f', node: 'n', bytes: 100 }], 1, 100],
])('a damaged message %s gives one warning, and each is counted', (_title, forks, places, bytes) => {
	const said = warnings()
	const notes = new StreamNotes({ stream: 'l', subjects: [{}], forks } as unknown as ChainReader)
	expect([notes.damagedPlaces, notes.damagedBytes, said]).toEqual([places, bytes, []])
	for (const streamSeq of [1, 2, 1]) notes.inspect(damaged(streamSeq))
	expect([notes.damagedPlaces, notes.damagedBytes]).toEqual([places + 2, bytes + 100])
	expect(said).toEqual(['STREAM_DAMAGED'])
})
