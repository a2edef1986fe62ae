/** Tests rows of misuse: each call is refused at once, by one error with a code and advice. */
import { expect, test } from 'vitest'
import { type ErrorCode, MeshChainError } from '../../src/model/errors.ts'

/** What is called, the code, and a part of the message. */
export type Refusal = readonly [what: string, call: () => unknown, code: ErrorCode, message: string | RegExp]

/** Returns a value as `any`, to pass it where its type is wrong. */
// biome-ignore lint/suspicious/noExplicitAny: the tests are about values that no type allows
export const wrong = (value?: unknown): any => value

/** Tests that calls throw, or reject if they return a promise. */
export function testRefusals(rows: readonly Refusal[]): void {
	test.each(rows)('%s', async (_what, call, code, message) => {
		const error = await outcome(call)
		expect(error).toBeInstanceOf(MeshChainError)
		expect([(error as MeshChainError).code, (error as MeshChainError).message]).toEqual([
			code,
			typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
		])
	})
}

async function outcome(call: () => unknown): Promise<unknown> {
	try {
		return await call()
	} catch (error) {
		return error
	}
}
