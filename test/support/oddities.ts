/**
 * Odd values that foreign code may return or throw: everything that the language allows. Each use gets a new
 * value.
 */
import { LogAppendError, MeshChainError } from '../../src/model/errors.ts'

function throws(): never {
	throw new TypeError('a getter')
}

/** Returns an object that throws at any access. */
function hostile(target: object = {}): object {
	const traps = ['get', 'has', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor', 'apply'] as const
	return new Proxy(target, Object.fromEntries(traps.map((trap) => [trap, throws])))
}

function revoked(): object {
	const { proxy, revoke } = Proxy.revocable({}, {})
	revoke()
	return proxy
}

function withGetters<T extends object>(target: T, ...names: string[]): T {
	for (const name of names) Object.defineProperty(target, name, { get: throws, configurable: true })
	return target
}

/** Adds properties that return a new rejected promise at each access. */
function withPromises<T extends object>(target: T, ...names: (string | symbol)[]): T {
	for (const name of names)
		Object.defineProperty(target, name, { get: rejects, enumerable: true, configurable: true })
	return target
}

const rejects = () => Promise.reject(new Error('rejected'))

/** Returns a proxy whose properties are rejected promises. */
const proxyOfPromises = (target: object = {}) => new Proxy(target, { get: rejects })

/** The stack is first, because its first access formats it from the message and the name. */
const ERROR_FIELDS = ['stack', 'message', 'name', 'code', 'cause', 'retryable', 'reason', 'seq']

const thenable = (then: (...settle: ((value?: unknown) => void)[]) => unknown) => ({ then })

export const ODDITIES: Readonly<Record<string, () => unknown>> = {
	undefined: () => undefined,
	null: () => null,
	NaN: () => Number.NaN,
	'a negative number': () => -1,
	'a huge number': () => 1e300,
	Infinity: () => Number.POSITIVE_INFINITY,
	'a bigint': () => 5n,
	'a text': () => 'text',
	'a long text': () => 'x'.repeat(100_000),
	true: () => true,
	'a symbol': () => Symbol('odd'),
	'a function': () => () => {},
	'an array': () => [1],
	'a Date': () => new Date(),
	'an invalid Date': () => new Date(Number.NaN),
	'an object without a prototype': () => Object.create(null),
	'an object whose prototype is revoked': () => Object.create(revoked()),
	'a revoked proxy': revoked,
	'a proxy that throws': () => hostile(),
	'a function that throws at every look': () => hostile(() => {}),
	'an object with a getter for then': () => withGetters({}, 'then'),
	'an object with getters': () => withGetters({}, 'value', 'tsMs', 'data', 'daemonId', 'kind', 'toString'),
	'an error': () => new Error('plain'),
	'an error with getters': () => withGetters(new Error('odd'), ...ERROR_FIELDS),
	'an error with a symbol as message': () =>
		Object.assign(new Error('odd'), { message: Symbol('odd'), name: Symbol('odd') }),
	'an error that cannot become a text': () => ({ toString: throws, [Symbol.toPrimitive]: throws }),
	'an append error with getters': () => withGetters(new LogAppendError('odd'), ...ERROR_FIELDS),
	'a coded error with getters': () => withGetters(new MeshChainError('WRITE_FAILED', 'odd'), ...ERROR_FIELDS),
	'a proxy of an append error': () => hostile(new LogAppendError('odd')),
	'an error that is retryable at first': () => {
		let asked = 0
		return Object.defineProperty(new Error('odd'), 'retryable', { get: () => asked++ === 0 })
	},
	'a promise that never settles': () => new Promise(() => {}),
	'a promise that rejects': () => Promise.reject(new Error('rejected')),
	'a promise that rejects with a promise that rejects': () => Promise.reject(rejects()),
	'a promise that rejects with itself': () => {
		const promise: Promise<never> = new Promise((_resolve, reject) => setImmediate(() => reject(promise)))
		return promise
	},
	'a promise that rejects, whose own then throws': () => {
		const promise = rejects()
		return Object.defineProperty(promise, 'then', { value: throws })
	},
	'a thenable that rejects with a promise that rejects': () =>
		thenable((_resolve, reject) => reject?.(rejects())),
	'a thenable that rejects twice': () =>
		thenable((_resolve, reject) => [reject?.(rejects()), reject?.(rejects())]),
	'a thenable whose then returns a promise that rejects': () =>
		thenable((resolve) => {
			resolve?.()
			return rejects()
		}),
	'an object with getters that give promises': () =>
		withPromises(
			{},
			'value',
			'tsMs',
			'data',
			'daemonId',
			'kind',
			'toString',
			'toJSON',
			'done',
			'records',
			'seq',
		),
	'an error with getters that give promises': () => withPromises(new Error('odd'), ...ERROR_FIELDS),
	'an object with a promise for a tag': () => withPromises({}, Symbol.toStringTag, Symbol.toPrimitive),
	'a proxy that gives promises': () => proxyOfPromises(),
	'an async toJSON that rejects': () => ({ toJSON: rejects }),
	'an object whose text is a promise': () => ({ toString: rejects }),
	'a promise that rejects with a revoked proxy': () => Promise.reject(revoked()),
	'a promise that rejects with a symbol': () => Promise.reject(Symbol('odd')),
	'a promise whose own then throws': () =>
		Object.defineProperty(Promise.resolve(), 'then', { value: throws }),
	'a promise whose constructor throws': () => withGetters(Promise.resolve(), 'constructor'),
	'a thenable that throws': () => thenable(throws),
	'a thenable that throws when it has settled': () =>
		thenable((resolve) => {
			resolve?.()
			throws()
		}),
	'a thenable that never settles': () => thenable(() => {}),
	'a thenable that resolves twice': () => thenable((resolve) => [resolve?.(), resolve?.()]),
	'a thenable that resolves and rejects': () => thenable((resolve, reject) => [resolve?.(), reject?.()]),
	'a thenable that rejects and resolves': () => thenable((resolve, reject) => [reject?.(), resolve?.()]),
	'a thenable that resolves later, twice': () =>
		thenable((resolve) => [setImmediate(() => resolve?.()), setImmediate(() => resolve?.())]),
	'a thenable that resolves with itself': () => {
		const endless = thenable((resolve) => resolve?.(endless))
		return endless
	},
	'a thenable that resolves with a revoked proxy': () => thenable((resolve) => resolve?.(revoked())),
	'a thenable that rejects with itself': () => {
		const endless = thenable((_resolve, reject) => reject?.(endless))
		return endless
	},
	'a function with a then': () => Object.defineProperty(() => {}, 'then', { value: throws }),
}

/** The ways in which a call produces a value. The callee must handle promises; nothing here does. */
export const WAYS: Readonly<Record<'returns' | 'throws' | 'rejects with', (make: () => unknown) => unknown>> =
	{
		returns: (make) => make(),
		throws: (make) => {
			throw make()
		},
		'rejects with': (make) => Promise.reject(make()),
	}
