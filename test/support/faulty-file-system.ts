/** The real file system, with injected failures: of all calls by name, or of one call by its number. */
import { type FileSystem, nodeFileSystem } from '../../src/platform/file-system.ts'

type CallName = keyof FileSystem

export interface Call {
	readonly name: CallName
	readonly path: string | undefined
}

/** Calls that tests never let fail. */
const NEVER_FAILING: readonly CallName[] = ['watch']

export class FaultyFileSystem implements FileSystem {
	declare readonly openSync: FileSystem['openSync']
	declare readonly closeSync: FileSystem['closeSync']
	declare readonly readSync: FileSystem['readSync']
	declare readonly writeSync: FileSystem['writeSync']
	declare readonly fstatSync: FileSystem['fstatSync']
	declare readonly statSync: FileSystem['statSync']
	declare readonly ftruncateSync: FileSystem['ftruncateSync']
	declare readonly fsyncSync: FileSystem['fsyncSync']
	declare readonly fdatasyncSync: FileSystem['fdatasyncSync']
	declare readonly linkSync: FileSystem['linkSync']
	declare readonly renameSync: FileSystem['renameSync']
	declare readonly unlinkSync: FileSystem['unlinkSync']
	declare readonly realpathSync: FileSystem['realpathSync']
	declare readonly readdirSync: FileSystem['readdirSync']
	declare readonly readFileSync: FileSystem['readFileSync']
	declare readonly lockSync: FileSystem['lockSync']
	declare readonly open: FileSystem['open']
	declare readonly close: FileSystem['close']
	declare readonly read: FileSystem['read']
	declare readonly fstat: FileSystem['fstat']
	declare readonly fdatasync: FileSystem['fdatasync']
	declare readonly watch: FileSystem['watch']

	/** Number of bytes that may still be written; beyond it, a write is short, then fails with ENOSPC. */
	roomBytes = Number.POSITIVE_INFINITY
	syncs = 0
	/** All calls so far, in order. */
	readonly calls: Call[] = []
	readonly #failing = new Map<CallName, { readonly code: string; passing: number }>()
	#failAt: { readonly index: number; readonly code: string } | undefined

	readonly #base: FileSystem

	constructor(base: FileSystem = nodeFileSystem) {
		this.#base = base
		for (const name of Object.keys(nodeFileSystem) as CallName[]) {
			Object.defineProperty(this, name, { value: (...args: unknown[]) => this.#call(name, args) })
		}
	}

	/** Makes every call of this name fail after `passing` calls. */
	fail(name: CallName, code: string, passing = 0): void {
		this.#failing.set(name, { code, passing })
	}

	/** Makes only the `index`th call from now fail, counted from 0. */
	failOnce(index: number, code: string): void {
		this.#failAt = { index: this.calls.length + index, code }
	}

	failWrites(code: string): void {
		this.fail('writeSync', code)
	}

	failSyncs(code: string): void {
		this.fail('fdatasync', code)
		this.fail('fdatasyncSync', code)
	}

	failTruncates(code: string): void {
		this.fail('ftruncateSync', code)
	}

	heal(): void {
		this.#failing.clear()
		this.#failAt = undefined
		this.roomBytes = Number.POSITIVE_INFINITY
	}

	#call(name: CallName, args: unknown[]): unknown {
		const isAsync = !name.endsWith('Sync') && name !== 'watch'
		const index = this.calls.length
		this.calls.push({ name, path: typeof args[0] === 'string' ? args[0] : undefined })
		if (name === 'fdatasync' || name === 'fdatasyncSync') this.syncs++
		const code = index === this.#failAt?.index ? this.#failAt.code : this.#failureOf(name)
		if (code !== undefined && !NEVER_FAILING.includes(name)) {
			const error = failure(code, name)
			// Even if close fails, the descriptor is gone.
			if (name === 'closeSync' || name === 'close') this.#base.closeSync(args[0] as number)
			if (isAsync) return Promise.reject(error)
			throw error
		}
		if (name === 'writeSync') return this.#write(args as Parameters<FileSystem['writeSync']>)
		return (this.#base[name] as (...all: unknown[]) => unknown)(...args)
	}

	#failureOf(name: CallName): string | undefined {
		const failing = this.#failing.get(name)
		return failing === undefined || failing.passing-- > 0 ? undefined : failing.code
	}

	#write([fd, buffer, offset, length, position]: Parameters<FileSystem['writeSync']>): number {
		if (this.roomBytes === 0) throw failure('ENOSPC', 'writeSync')
		const fitting = Math.min(length, this.roomBytes)
		const written = this.#base.writeSync(fd, buffer, offset, fitting, position)
		this.roomBytes -= written
		return written
	}
}

function failure(code: string, name: string): Error {
	return Object.assign(new Error(`${code}: forced by the test, in ${name}`), { code })
}
