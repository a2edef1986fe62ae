/** Creates records as a loop would stamp them, for tests that call an appender directly. */
import type { LogRecord } from '../../src/model/record.ts'

export function record(seq: number, fields: Partial<LogRecord> = {}): LogRecord {
	return {
		seq,
		epoch: 1,
		tsMs: 1_700_000_000_000 + seq,
		level: 'info',
		kind: 'log',
		message: `message ${seq}`,
		daemonId: null,
		nodeId: null,
		chainPending: false,
		...fields,
	}
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
	const items: T[] = []
	for await (const item of source) items.push(item)
	return items
}
