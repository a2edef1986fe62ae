import { constants } from 'node:os'
import { expect, test } from 'vitest'
import { Interruption, interruptedStatus, STATUS, statusOf } from '../../src/cli/exit-status.ts'
import { ERROR_CODES, MeshChainError } from '../../src/model/errors.ts'

test('an error is wrong usage where its code names a part of the command line, and a failure otherwise', () => {
	const usage = ERROR_CODES.filter((code) => statusOf(new MeshChainError(code, 'x')) === STATUS.usage)
	expect(usage).toEqual([
		'INVALID_OPTION',
		'INVALID_LEVEL',
		'INVALID_KIND',
		'INVALID_ID',
		'INVALID_TIME',
		'INVALID_FILTER',
		'INVALID_PATH',
		'INVALID_USAGE',
	])
	for (const code of ERROR_CODES) expect([2, 5]).toContain(statusOf(new MeshChainError(code, 'x')))
	for (const thrown of [new Error('x'), 'x', undefined, null, { code: 'INVALID_USAGE' }])
		expect(statusOf(thrown)).toBe(STATUS.failed)
})

test.each(['SIGHUP', 'SIGINT', 'SIGTERM'] as const)(
	'an interruption by %s is told as a shell tells it',
	(signal) => {
		const status = 128 + constants.signals[signal]
		const interruption = new Interruption(signal)
		expect(interruptedStatus(AbortSignal.abort(interruption))).toBe(status)
		const caused = new MeshChainError('EXPORT_FAILED', 'x', {
			cause: new Error('y', { cause: interruption }),
		})
		expect(statusOf(caused)).toBe(status)
	},
)

test('an error with a circular or a hostile cause is a failure', () => {
	const circular = new Error('x')
	circular.cause = circular
	const hostile = Object.defineProperty(new Error('x'), 'cause', {
		get() {
			throw new Error('no')
		},
	})
	const proxy = new Proxy(new Error('x'), {
		getPrototypeOf() {
			throw new Error('no')
		},
	})
	for (const thrown of [circular, hostile, proxy]) expect(statusOf(thrown)).toBe(STATUS.failed)
})

test('an abort without a signal counts as Ctrl-C', () => {
	expect(interruptedStatus(AbortSignal.abort())).toBe(130)
})
