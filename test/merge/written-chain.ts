/** Chains for the merge tests: written as by a service, opened for reading, and closed when the test ends. */
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { gapRecord, type LogRecord } from '../../src/model/record.ts'
import type { FileSystem } from '../../src/platform/file-system.ts'
import { record } from '../support/records.ts'

export const START_MS = 1_700_000_000_000

/** Fields of a record; seq and epoch belong to the chain. */
export type Fields = Partial<LogRecord>

/** Stands for `count` absent records. */
export const absent = (count: number, tsMs = START_MS) => ({ absent: count, tsMs })
type Absent = ReturnType<typeof absent>

/** Opens a chain once and appends records. Waits from time to time, so that it rotates as requested. */
export async function write(
	path: string,
	records: readonly (Fields | Absent)[],
	options: FileChainOptions = {},
): Promise<string> {
	const appender = new FileChainAppender(path, options)
	const { epoch } = appender
	for (const [index, fields] of records.entries()) {
		const seq = appender.nextSeq
		if ('absent' in fields) {
			const toSeq = seq + fields.absent - 1
			const gap = { fromSeq: seq, toSeq, count: fields.absent, cause: 'evicted' } as const
			appender.append(gapRecord(gap, { epoch, tsMs: fields.tsMs }))
		} else appender.append(record(seq, { ...fields, epoch }))
		if (options.rotateRecords !== undefined && index % 10 === 9) await settle(appender)
	}
	await appender.close()
	return path
}

/** Waits until a file is sealed, which happens in the turn after its sync. */
async function settle(appender: FileChainAppender): Promise<void> {
	await appender.sync()
	await new Promise((resolve) => setImmediate(resolve))
}

export async function opened(path: string, fs?: FileSystem): Promise<Chain> {
	const chain = await openChain(path, fs === undefined ? {} : { fs })
	onTestFinished(() => chain.close())
	return chain
}

/** Creates a separate chain in a folder. */
export async function chainIn(
	folder: string,
	name: string,
	records: readonly (Fields | Absent)[],
	{ fs, ...options }: FileChainOptions = {},
): Promise<Chain> {
	return opened(await write(join(folder, `${name}.chain`), records, options), fs)
}

/** Returns `count` records, one every `everyMs`. */
export function many(count: number, everyMs: number, fields: Fields = {}): Fields[] {
	return Array.from({ length: count }, (_unused, index) => ({
		message: `${String(fields.nodeId ?? '')} ${index + 1}`,
		...fields,
		tsMs: (fields.tsMs ?? START_MS) + index * everyMs,
	}))
}
