import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Answer, TargetConnection } from '../../src/journal/pg-target.ts'
import type { StatementData } from '../../src/journal/statement.ts'
import { TargetTransaction } from '../../src/journal/target-transaction.ts'

const statement = (seq: number, end?: 'commit') => ({
	data: {
		...{ session: 's', tx: 's:1', seq, text: `statement ${seq}`, params: [], commands: ['INSERT'], rows: 1 },
		...{ checksum: null, startedMs: 0, durationMs: 0, ...(end === undefined ? {} : { end }) },
	} satisfies StatementData,
	seq,
	tsMs: 0,
})

/** A connection whose answers are given: one fate for each statement. */
function connection(fates: readonly ('done' | 'error' | 'lost' | 'out')[]) {
	const sent: string[] = []
	const of = {
		status: 'I',
		isLost: false,
		async ask({ text }: { readonly text: string }): Promise<Answer> {
			const lost = { data: undefined, isLost: true, isTimedOut: false, lostBy: 'cut' }
			if (of.isLost) return lost
			const fate = fates[sent.push(text) - 1] ?? 'done'
			if (fate === 'lost') {
				of.isLost = true
				return lost
			}
			// `out`: it failed, and the transaction no longer exists, as when a proxy refuses BEGIN.
			of.status = fate === 'out' ? 'I' : fate === 'error' ? 'E' : 'T'
			const error = fate === 'done' ? {} : { error: { code: '42601', message: 'refused' } }
			return {
				data: { ...statement(1).data, ...error },
				isLost: false,
				isTimedOut: false,
				lostBy: '',
			}
		},
	}
	return { of: of as unknown as TargetConnection, sent }
}

test('after a lost connection or transaction, nothing is sent and one failure is counted', async () => {
	const fate = fc.constantFrom('done', 'error', 'lost', 'out' as const)
	await fc.assert(
		fc.asyncProperty(fc.array(fate, { minLength: 3, maxLength: 6 }), fc.boolean(), async (fates, begins) => {
			const { of, sent } = connection(fates)
			const transaction = new TargetTransaction(of, false)
			if (begins) await transaction.begin()
			const verdicts: string[] = []
			const count = fates.length + 1
			for (let seq = 1; seq <= count; seq++) {
				const { verdict } = await transaction.run(statement(seq, seq === count ? 'commit' : undefined))
				verdicts.push(verdict.is)
			}
			const gone = fates.findIndex((is) => is === 'lost' || is === 'out')
			expect(sent).toHaveLength(gone === -1 ? count + (begins ? 1 : 0) : gone + 1)
			const after = verdicts.slice(Math.max(gone - (begins ? 1 : 0), 0))
			if (gone !== -1) expect(after).toEqual(['failed', ...after.slice(1).map(() => 'afterError')])
		}),
	)
})
