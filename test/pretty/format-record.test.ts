/** The text of a record for people: the same as on the command line, and escaped. */
import { describe, expect, test } from 'vitest'
import { FileChainAppender, formatRecord, MeshLoop } from '../../src/index.ts'
import { runCommand } from '../support/command.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

describe('formatRecord', () => {
	test('returns what dump prints, without the last line break', async () => {
		const path = `${temporaryFolder()}/node.chain`
		const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'api-1' })
		loop.info('listening', { port: 8080 })
		loop.emit('order.failed', { orderId: 17, error: new Error('declined') }, { level: 'error' })
		loop.info('long', { text: 'x'.repeat(200) })
		const texts = loop.snapshot().map((each) => `${formatRecord(each)}\n`)
		await loop.close()
		expect((await runCommand(['dump', '-o', 'pretty', path])).text).toBe(texts.join(''))
	})

	test('escapes every field, and colours only on request', () => {
		const evil = '\u001b[2J\n\u202e'
		const hostile = record(1, { message: evil, kind: evil, nodeId: evil, data: { [evil]: evil } })
		const text = formatRecord(hostile)
		// biome-ignore lint/suspicious/noControlCharactersInRegex: what must not occur
		expect(text).not.toMatch(/[\u0000-\u001f\u202e]/)
		expect(formatRecord(hostile, { color: true })).toContain('\u001b[32mINFO')
		expect(formatRecord(hostile, { color: undefined })).toBe(text)
	})

	test('refuses options and values that are not valid', () => {
		const invalid = expect.objectContaining({ code: 'INVALID_OPTION' })
		expect(() => formatRecord(record(1), { colour: true } as never)).toThrow(invalid)
		expect(() => formatRecord(record(1), { color: 'yes' } as never)).toThrow(invalid)
		for (const value of [undefined, null, 5, {}, Promise.reject(new Error('no record'))])
			expect(() => formatRecord(value as never)).toThrow(invalid)
	})
})
