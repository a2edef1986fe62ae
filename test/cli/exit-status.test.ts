import { constants } from 'node:os'
import { expect, test } from 'vitest'
import { Interruption, interruptedStatus, statusOf } from '../../src/cli/exit-status.ts'
import { ERROR_CODES, MeshChainError } from '../../src/model/errors.ts'

test('an error with any code, and any other thrown value, ends with status 2', () => {
	for (const code of ERROR_CODES) expect(statusOf(new MeshChainError(code, 'x'))).toBe(2)
	for (const thrown of [new Error('x'), 'x', undefined, null, { code: 'INVALID_USAGE' }])
		expect(statusOf(thrown)).toBe(2)
})

test.each(['SIGHUP', 'SIGINT', 'SIGTERM'] as const)(
	'an interruption by %s has the status that a shell reports',
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

test('an error with a circular or hostile cause is a failure', () => {
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
	for (const thrown of [circular, hostile, proxy]) expect(statusOf(thrown)).toBe(2)
})

test('an abort without a signal counts as Ctrl-C', () => {
	expect(interruptedStatus(AbortSignal.abort())).toBe(130)
})
