/** A ready-made `context` hook: fields that follow a request through asynchronous code. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { show } from '../guard/show.ts'
import { isPlainObject } from '../guard/values.ts'
import { MeshChainError } from '../model/errors.ts'
import type { ScopeFields } from './options.ts'

/** A `context` hook that returns the fields of the innermost `run` that is active. */
export interface AsyncContext<Fields extends object> {
	/** Returns the data for a line. This is the call that a loop makes. */
	(): ScopeFields | undefined
	/**
	 * Calls a function with arguments and returns its result. Lines that the function publishes contain the
	 * fields, as do lines that it publishes later, from promises, timers and callbacks. In nested calls, the
	 * inner fields are added to the outer ones, and take precedence.
	 *
	 * @throws {MeshChainError} `INVALID_LINE` if the fields are not a plain object.
	 */
	run<Args extends unknown[], R>(fields: Fields, fn: (...args: Args) => R, ...args: Args): R
	/** Returns the fields of the current call; undefined outside `run`. */
	fields(): Readonly<Partial<Fields>> | undefined
}

/**
 * Returns a `context` hook for a loop, with a method that sets the fields for a call and for everything
 * that the call starts.
 *
 * @example
 * ```ts
 * import { asyncContext, BufferingAppender, MeshLoop } from 'mesh-chain'
 *
 * const context = asyncContext<{ requestId: string }>()
 * const loop = new MeshLoop(new BufferingAppender(), { context })
 * context.run({ requestId: 'r-1' }, () => loop.info('started'))
 * console.log(loop.snapshot()[0]?.data) // { requestId: 'r-1' }
 * ```
 */
export function asyncContext<Fields extends object = Record<string, unknown>>(): AsyncContext<Fields> {
	const storage = new AsyncLocalStorage<ScopeFields>()
	const fields = () => storage.getStore()?.data as Readonly<Partial<Fields>> | undefined
	return Object.assign(() => storage.getStore(), {
		fields,
		run<Args extends unknown[], R>(given: Fields, fn: (...args: Args) => R, ...args: Args): R {
			if (!isPlainObject(given)) {
				throw new MeshChainError('INVALID_LINE', `fields must be a plain object, not ${show(given)}`)
			}
			return storage.run({ data: Object.freeze({ ...fields(), ...given }) }, fn, ...args)
		},
	})
}
