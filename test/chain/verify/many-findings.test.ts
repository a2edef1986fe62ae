/**
 * Files with more findings than a report lists. Every finding counts: the first 1,000 of a kind are listed,
 * the others only counted.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { VerifyFindingKind } from '../../../src/chain/chain.ts'
import { repairChain } from '../../../src/chain/verify/repair.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { CLOSED, Forge } from '../../oracle/format-oracle.mjs'
import { runCommand } from '../../support/command.ts'
import { temporaryFolder } from '../../support/temporary.ts'

const COUNT = 2500
const LISTED = 1000
const one = [{ tsMs: 1, level: 2 }]

/** Functions that each add one more finding of a kind to the file. */
const MAKERS: Readonly<Partial<Record<VerifyFindingKind, (forge: Forge, index: number) => void>>> = {
	ambiguous: (forge) => {
		forge.file.raw(Buffer.from([0xc1]))
		forge.frame(one)
	},
	wrongSeq: (forge) => forge.frame(one, { baseSeq: 1 }),
	damaged: (forge) => forge.frame([], { rows: [['x']], flags: 4 }),
	missing: (forge) => forge.frame(one, { baseSeq: forge.file.nextSeq + 2 }),
	gap: (forge) => forge.gap(forge.file.nextSeq + 1, 'damaged'),
	wrongAnchor: (forge, index) => forge.anchor(1, { counts: [0, 0, 99 + index, 0, 0] }),
	brokenLink: (forge) => forge.anchor(1, { link: Buffer.alloc(32, 3) }),
	repaired: (forge) => forge.anchor(4, { last: 5 }),
}

function written(forge: Forge): string {
	const folder = temporaryFolder()
	for (const { name, bytes } of forge.files()) writeFileSync(join(folder, name), bytes)
	return join(folder, 'node.chain')
}

test.each(Object.keys(MAKERS) as VerifyFindingKind[])(
	'%s is counted beyond the number that a report lists',
	async (kind) => {
		const forge = new Forge()
		forge.frame(one)
		for (let index = 0; index < COUNT; index++) MAKERS[kind]!(forge, index)
		forge.anchor(CLOSED)
		// The totals of the last anchor do not fit, either.
		const total = kind === 'wrongAnchor' ? COUNT + 1 : COUNT
		const path = written(forge)
		const report = await verifyChain(path)
		const listed = report.findings.filter((finding) => finding.kind === kind).length
		expect(listed).toBeGreaterThanOrEqual(LISTED)
		expect(listed + (report.findingsNotListed[kind] ?? 0)).toBe(total)
		expect(report.findings.length).toBeLessThanOrEqual(3 * LISTED)
		expect(report.recordsLost).toBe(kind === 'gap' ? 2 * COUNT : 0)
		expect(report.records).toBe(1 + (['ambiguous', 'wrongSeq', 'missing'].includes(kind) ? COUNT : 0))
		const plan = await repairChain(path, { dryRun: true })
		if (['ambiguous', 'damaged', 'missing'].includes(kind)) {
			const lostRecords = { ambiguous: 0, damaged: COUNT, missing: 2 * COUNT }[kind as string]
			expect([plan.actions.length, plan.actions[0]?.lostRecords]).toEqual([1, lostRecords])
		} else expect(plan.actions).toEqual([])
		if (['wrongSeq', 'wrongAnchor', 'brokenLink'].includes(kind)) {
			expect(plan.left.filter((finding) => finding.kind === kind).length).toBe(LISTED)
			expect(plan.leftNotListed[kind]).toBe(total - LISTED)
		}
	},
)

/** Creates enough findings of a kind in the sealed file that none of the live file is listed. */
function twoFiles(kind: 'damaged' | 'wrongSeq'): string {
	const forge = new Forge()
	forge.frame(one)
	for (let index = 0; index < LISTED + 200; index++) MAKERS[kind]!(forge, index)
	MAKERS.damaged!(forge, 0)
	forge.seal()
	forge.frame(one)
	MAKERS[kind]!(forge, 0)
	MAKERS.damaged!(forge, 0)
	forge.anchor(CLOSED)
	return written(forge)
}

test('a repair acts on unlisted findings, and leaves files because of them', async () => {
	const damaged = twoFiles('damaged')
	const repaired = await repairChain(damaged)
	expect(repaired.actions.map(({ path }) => path.endsWith('node.chain'))).toEqual([false, true])
	expect((await repairChain(damaged)).actions).toEqual([])
	const changed = twoFiles('wrongSeq')
	const { findings } = await verifyChain(changed)
	expect(findings.filter(({ kind, path }) => kind === 'wrongSeq' && path === changed)).toEqual([])
	const left = await repairChain(changed)
	expect(left.actions).toEqual([])
	expect(left.left.filter(({ kind }) => kind === 'damaged').length).toBe(2)
})

test('the commands print the number of unlisted findings, as text and as JSON', async () => {
	const path = twoFiles('wrongSeq')
	const { findingsNotListed } = await verifyChain(path)
	const more = findingsNotListed.wrongSeq
	expect(more).toBeGreaterThanOrEqual(200)
	const verified = await runCommand(['verify', path])
	expect(verified.status).toBe(3)
	const lines = verified.text.split('\n')
	expect(lines).toContain(`not listed: ${more} more findings of kind [wrongSeq]`)
	expect(JSON.parse((await runCommand(['verify', path, '-o', 'json'])).text)).toMatchObject({
		findingsNotListed,
	})
	const planned = (await runCommand(['repair', '--dry-run', path])).text.split('\n')
	expect(planned).toContain(`not listed: ${more} more findings of kind [wrongSeq] left as evidence`)
})

test('a gap with a message of a megabyte yields a finding with the beginning of it', async () => {
	const forge = new Forge()
	const data = { fromSeq: 1, toSeq: 1, count: 1, cause: 'evicted' }
	forge.frame([{ tsMs: 1, level: 3, kind: '$gap', message: 'x'.repeat(2 ** 20), data }])
	forge.anchor(CLOSED)
	const { findings } = await verifyChain(written(forge))
	expect(findings[0]?.message.length).toBe(1001)
})
