/** A source stores what the server returned, and reports why a request failed. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { fromHttp } from '../../src/sources/index.ts'
import { freePort } from '../support/free-port.ts'

async function read(answer: (response: ServerResponse) => void) {
	const server = createServer((_request, response) => answer(response))
	server.listen(0, '127.0.0.1')
	await once(server, 'listening')
	onTestFinished(() => {
		server.close()
		server.closeAllConnections()
	})
	const { port } = server.address() as AddressInfo
	return fromHttp(`http://127.0.0.1:${port}/meter`).read!(new AbortController().signal)
}

const served = (contentType: string, body: string | Uint8Array) =>
	read((response) => response.setHeader('content-type', contentType).end(body))

const utf16 = (text: string) => Buffer.from(text, 'utf16le')

test('integers of any size are kept', async () => {
	const body = '{"serial":12345678901234567890,"small":-9007199254740993,"n":[1,9007199254740991]}'
	expect(await served('application/json', body)).toEqual({
		serial: 12_345_678_901_234_567_890n,
		small: -9_007_199_254_740_993n,
		n: [1, 9_007_199_254_740_991],
	})
	expect(await served('application/vnd.meter+json', '12345678901234567890')).toBe(12_345_678_901_234_567_890n)
})

test.each([
	['a byte order mark', 'application/json', Buffer.from('\ufeff{"a":"é"}'), { a: 'é' }],
	[
		'UTF-16 with its mark',
		'application/json',
		Buffer.concat([Buffer.of(0xff, 0xfe), utf16('{"a":"é"}')]),
		{ a: 'é' },
	],
	['a charset', 'text/plain; charset=ISO-8859-1', Buffer.of(0x63, 0xe9), 'cé'],
	['a charset in quotes', 'text/plain;charset="iso-8859-2"', Buffer.of(0xb1), 'ą'],
	['a mark that contradicts the charset', 'text/plain; charset=latin1', Buffer.from('\ufeffé'), 'é'],
	['no type', '', 'é', 'é'],
] as const)('%s', async (_name, contentType, body, wanted) => {
	expect(await served(contentType, body)).toEqual(wanted)
})

test.each([
	['text/plain', Buffer.of(0x63, 0xe9), /the body from \S+\/meter is not utf-8/],
	['text/plain; charset=nonsense', 'a', /the body from \S+\/meter is not nonsense/],
	['application/json', '{"a":', /the body from \S+\/meter is not JSON: .+/],
	['application/json', '', /the body from \S+\/meter is not JSON: .+/],
] as const)('a body of %s that is not that is an error', async (contentType, body, message) => {
	await expect(served(contentType, body)).rejects.toThrow(message)
})

test('the error states why an address cannot be reached', async () => {
	const port = await freePort()
	const signal = new AbortController().signal
	await expect(fromHttp(`http://127.0.0.1:${port}/a?secret=1`).read!(signal)).rejects.toThrow(
		`http://127.0.0.1:${port}/a cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`,
	)
	await expect(fromHttp(`http://localhost:${port}/`).read!(signal)).rejects.toThrow(/ECONNREFUSED/)
	await expect(fromHttp('http://no-such-host.invalid/').read!(signal)).rejects.toThrow(
		/no-such-host\.invalid/,
	)
	await expect(read((response) => response.destroy())).rejects.toThrow(/cannot be reached: (?!fetch failed)/)
	const over = AbortSignal.abort(new Error('no time'))
	await expect(fromHttp(`http://127.0.0.1:${port}/`).read!(over)).rejects.toThrow('no time')
})
