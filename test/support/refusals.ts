/** Rows of calls that are misuse: each is refused at once, by one error with a code that says what to give instead. */
import { expect, test } from 'vitest'
import { type ErrorCode, MeshChainError } from '../../src/model/errors.ts'

/** What is called, the code, and a piece of the message. */
export type Refusal = readonly [what: string, call: () => unknown, code: ErrorCode, message: string | RegExp]

/** Whoever is given what has the wrong type. */
// biome-ignore lint/suspicious/noExplicitAny: what no types let through is what is tested
export const wrong = (value?: unknown): any => value

/** Calls that throw, or reject where they return a promise. */
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
