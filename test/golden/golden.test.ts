/**
 * RELIABILITY, row 15: files of every version and kind, kept forever, yield the same records, findings and
 * next seq as when they were created.
 */
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { recordToJson } from '../../src/codec/json-dialect.ts'
import { tellCounts } from '../support/counts.ts'
import { leaveLock } from '../support/killed.ts'
import { run } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { PYTHON, requirePackage } from '../support/system-packages.ts'
import { temporaryFolder } from '../support/temporary.ts'

const VERSIONS = readdirSync(import.meta.dirname).filter((name) => /^v\d+$/.test(name))
const GOLDENS = VERSIONS.flatMap((version) =>
	readdirSync(join(import.meta.dirname, version)).map((name) => join(version, name)),
)
const READER = join(import.meta.dirname, '..', 'interop', 'read_chain.py')

beforeAll(() => {
	vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
	requirePackage('python3-msgpack')
})

test('there are golden files of every kind', () => {
	expect(GOLDENS.length).toBeGreaterThanOrEqual(11)
})

const lines = (text: string) =>
	text
		.split('\n')
		.filter(Boolean)
		.map((line) => JSON.parse(line))
const isRecord = ({ kind }: { kind: string }) => kind !== '$gap'

test.each(GOLDENS)('%s', async (name) => {
	const folder = join(import.meta.dirname, name)
	const path = join(folder, 'node.chain')
	const expected = lines(readFileSync(join(folder, 'expected.ndjson'), 'utf8'))
	const chain = await openChain(path)
	const found = await collect(chain.records())
	await chain.close()
	expect(found.map((each) => JSON.parse(recordToJson(each)))).toEqual(expected)

	const { ok, records, findings } = await verifyChain(path)
	const kinds = findings.map(({ kind, severity, fromSeq, toSeq }) => ({ kind, severity, fromSeq, toSeq }))
	expect({ ok, records, findings: JSON.parse(JSON.stringify(kinds)) }).toEqual(
		JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')),
	)

	const sealed = readdirSync(folder).filter((each) => /^node-\d+\.chain$/.test(each))
	sealed.sort((a, b) => Number(a.slice(5, -6)) - Number(b.slice(5, -6)))
	const foreign = await run(PYTHON, [READER, ...sealed.map((each) => join(folder, each)), path])
	if (!findings.some(({ severity }) => severity === 'damage')) {
		expect([foreign.status, foreign.stderr]).toEqual([0, ''])
		expect(lines(foreign.stdout).filter(isRecord)).toEqual(expected.filter(isRecord))
	} else {
		// To this short reader, a damaged length makes the rest look torn: it stops there and invents
		// nothing.
		const seen = lines(foreign.stdout).filter(isRecord)
		expect(seen).toEqual(expected.filter(isRecord).slice(0, seen.length))
		expect(seen.length).toBeLessThan(expected.filter(isRecord).length)
	}

	const copy = join(temporaryFolder(), 'copy')
	cpSync(folder, copy, { recursive: true })
	const copyPath = join(copy, 'node.chain')
	leaveLock(copyPath)
	const appender = new FileChainAppender(copyPath)
	const { nextSeq } = appender
	expect(nextSeq).toBe((found.at(-1)?.seq ?? 0) + 1)
	appender.append(record(nextSeq, { epoch: appender.epoch }))
	await appender.close()
	const again = await openChain(copyPath)
	expect((await collect(again.records())).length).toBe(found.length + 1)
	await again.close()
})

test('the foreign reader and this one agree on all of them', () => {
	tellCounts(15, 'golden files', { versions: VERSIONS.length, files: GOLDENS.length, 'different records': 0 })
})
