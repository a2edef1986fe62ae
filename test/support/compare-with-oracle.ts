/**
 * Compares the project with the oracle on the same files. They were written independently, and must agree.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { heaviestAnswer } from '../../src/chain/answer.ts'
import type { ChainInfo, VerifyReport } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { type GapData, isGap, type LogRecord, levelIndex } from '../../src/model/record.ts'
import { type NamedFile, type OracleRecord, readChain, recordKey, verify } from '../oracle/format-oracle.mjs'
import { MemoryFileSystem } from './memory-file-system.ts'
import { collect } from './records.ts'

const FOLDER = '/chains'
const PATH = `${FOLDER}/node.chain`

/** Codes with which the project rejects files that are not a readable chain. */
const REFUSED = ['CHAIN_NOT_FOUND', 'CHAIN_EMPTY', 'NOT_A_CHAIN', 'HEADER_DAMAGED', 'NEWER_VERSION']

/** Result of one of the two: the records with their gaps, and an answer without a head and for each head. */
interface Said {
	readonly records: readonly string[]
	readonly answers: readonly string[]
}

/** Returns the files of a folder in memory. */
export function filesIn(fs: MemoryFileSystem, folder = FOLDER): NamedFile[] {
	const paths = fs.paths.filter((path) => path.startsWith(`${folder}/`))
	return paths.map((path) => ({ name: path.slice(folder.length + 1), bytes: fs.get(path) }))
}

/** Returns the files of a folder on disk. */
export function filesAt(folder: string): NamedFile[] {
	return readdirSync(folder).map((name) => ({ name, bytes: readFileSync(join(folder, name)) }))
}

function diskWith(files: readonly NamedFile[], boot = 1): MemoryFileSystem {
	const fs = new MemoryFileSystem(boot)
	for (const { name, bytes } of files) fs.put(`${FOLDER}/${name}`, bytes)
	return fs
}

/**
 * Compares the records, the gaps and the answers of both; fails with `what` if they differ.
 *
 * @param heads heads kept elsewhere; both judge each of them.
 * @param boot the boot of the machine that reads.
 * @returns the answer without a head, and one for each head; `refused` if there is no readable chain.
 */
export async function compare(
	what: string,
	files: readonly NamedFile[],
	heads: readonly string[] = [],
	boot = 1,
): Promise<readonly string[]> {
	const ours = await saidByProject(files, heads, boot)
	const { unreadableFrom, ...theirs } = saidByOracle(files, heads, boot)
	// The number of records in damage at the end is an estimate. The oracle gives none, so that of the
	// project is not compared.
	const isGuessed = unreadableFrom !== null && ours.records.length > theirs.records.length
	const guess = isGuessed ? ours.records.at(-1) : undefined
	const records = guess?.startsWith(`gap ${unreadableFrom} to `) ? ours.records.slice(0, -1) : ours.records
	const { answers } = ours
	expect({ what, answers, records }).toEqual({ what, ...theirs })
	return answers
}

async function saidByProject(
	files: readonly NamedFile[],
	heads: readonly string[],
	boot: number,
): Promise<Said> {
	const fs = diskWith(files, boot)
	const records: string[] = []
	const answers: string[] = []
	try {
		const chain = await openChain(PATH, { fs })
		for (const record of await collect(chain.records())) records.push(shownRecord(record))
		const info = await chain.info()
		await chain.close()
		for (const head of [undefined, ...heads]) {
			const report = await verifyChain(PATH, head === undefined ? { fs } : { fs, head })
			const { answer, recordsLost } = report
			answers.push(`${answer}, ${recordsLost}`)
			if (head === undefined) expectInfoAgrees(info, report)
		}
	} catch (error) {
		if (!(error instanceof MeshChainError) || !REFUSED.includes(error.code)) throw error
		return { records: [], answers: ['refused'] }
	}
	return { records, answers }
}

/**
 * Checks `info`, which examines less than `verify` and never gives a worse answer. If nothing is wrong, both
 * agree.
 */
function expectInfoAgrees(info: ChainInfo, { ok, answer, recordsLost, findings }: VerifyReport): void {
	expect(heaviestAnswer([info.answer, answer])).toBe(answer)
	// Records of a writer that had lost the chain count for no reader.
	if (!ok || findings.some(({ kind }) => kind === 'stray')) return
	expect([info.answer, info.recordsLost]).toEqual([answer, recordsLost])
}

interface OracleSaid extends Said {
	readonly unreadableFrom: number | null
}

function saidByOracle(files: readonly NamedFile[], heads: readonly string[], boot: number): OracleSaid {
	const options = { bootId: new MemoryFileSystem(boot).readFileSync('/boot_id').toString() }
	const { refused, records, unreadableFrom } = readChain(files, options)
	if (refused !== '') return { records: [], answers: ['refused'], unreadableFrom }
	const answers = [undefined, ...heads].map((head) => {
		const { answer, lost } = verify(files, head === undefined ? options : { ...options, head })
		return `${answer}, ${lost}`
	})
	return { records: records.map(shown), answers, unreadableFrom }
}

function shown(record: OracleRecord): string {
	const { kind, origin, data } = record
	return kind === '$gap' && origin === null ? shownGap(data as GapData) : recordKey(record)
}

function shownRecord(record: LogRecord): string {
	if (isGap(record)) return shownGap(record.data as GapData)
	return recordKey({ ...record, level: levelIndex(record.level), origin: record.origin ?? null })
}

function shownGap({ fromSeq, toSeq, cause }: GapData): string {
	return `gap ${fromSeq} to ${toSeq}: ${cause}`
}
