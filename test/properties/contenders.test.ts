/**
 * Contenders for one lock, in any interleaving of their calls to the file system. For each step a contender
 * runs again from the beginning: earlier results are replayed, one more call is done, and the rest never
 * happens.
 */
import { afterEach, beforeEach, expect, type MockInstance, test, vi } from 'vitest'
import { acquireLock } from '../../src/chain/files/lock.ts'
import type { FileSystem } from '../../src/platform/file-system.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'

const PATH = '/disk/node.chain'
const SCHEDULES = 600
const STEPS_MAX = 2000
/** For three processes, which of them have the kernel lock available. */
const KERNELS = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => [1, 2, 4].map((bit) => (bits & bit) !== 0)) as [
	boolean,
	boolean,
	boolean,
][]

const PID = Object.getOwnPropertyDescriptor(process, 'pid')!

/** The implementation of process.kill for the contender whose turn it is. */
let kill: (pid: number) => unknown = signal

function signal(pid: number): true {
	if (running.has(pid)) return true
	throw Object.assign(new Error('no such process'), { code: 'ESRCH' })
}

/** Pids of the processes that still run. */
const running = new Set<number>()

type State = 'trying' | 'holding' | 'releasing' | 'refused' | 'dead' | 'gone'

class Contender {
	readonly pid: number
	state: State = 'trying'
	/** Name of its last call. */
	last = ''
	readonly #disk: MemoryFileSystem
	readonly #hasKernel: boolean
	readonly #fds = new Set<number>()
	readonly #log: { readonly value: unknown; readonly error?: unknown }[] = []

	constructor(disk: MemoryFileSystem, pid: number, hasKernel: boolean) {
		this.#disk = disk
		this.pid = pid
		this.#hasKernel = hasKernel
		running.add(pid)
	}

	/** Runs one more call. */
	step(): void {
		if (this.state === 'holding') this.state = 'releasing'
		const isReleasing = this.state === 'releasing'
		const wanted = this.#log.length + 1
		const { system, isPaused } = this.#upTo(wanted)
		Object.defineProperty(process, 'pid', { ...PID, value: this.pid })
		try {
			const lock = acquireLock(system, PATH, { nowMs: 1 })
			if (isReleasing) {
				lock.release('closed')
				if (!isPaused()) this.state = 'gone'
			} else if (!isPaused()) this.state = 'holding'
		} catch (error) {
			if (isPaused()) return
			expect(error).toMatchObject({ code: 'CHAIN_LOCKED' })
			this.state = 'refused'
		}
	}

	die(): void {
		for (const fd of this.#fds) this.#disk.closeSync(fd)
		this.#fds.clear()
		running.delete(this.pid)
		this.state = 'dead'
	}

	/** Returns a file system that replays the results so far and then does one more call. */
	#upTo(wanted: number): { readonly system: FileSystem; readonly isPaused: () => boolean } {
		let done = 0
		let paused = false
		const call = (name: string, args: unknown[]): unknown => {
			if (paused || done === wanted) {
				paused = true
				throw new Error('paused')
			}
			const known = this.#log[done++]
			if (known !== undefined) {
				if ('error' in known) throw known.error
				return replayed(name, args, known.value)
			}
			try {
				const value = this.#do(name, args)
				this.#log.push({ value: name === 'readSync' ? [value, Buffer.from(args[1] as Buffer)] : value })
				return value
			} catch (error) {
				this.#log.push({ value: undefined, error })
				throw error
			}
		}
		kill = (pid) => call('kill', [pid])
		const system = new Proxy(this.#disk, {
			get:
				(_disk, name) =>
				(...args: unknown[]) =>
					call(String(name), args.map(named)),
		})
		return { system: system as unknown as FileSystem, isPaused: () => paused }
	}

	#do(name: string, args: unknown[]): unknown {
		this.last = name
		if (name === 'kill') return signal(args[0] as number)
		const pid = typeof args[0] === 'string' ? /^\/proc\/(\d+)\/stat$/.exec(args[0])?.[1] : undefined
		if (pid !== undefined) return Buffer.from(`${pid} (node) ${'S '.repeat(19)}${pid}`)
		if (args[0] === '/proc/self/ns/pid') return { ino: 1, dev: 1, size: 0, mode: 0, isFile: () => false }
		if (name === 'lockSync' && !this.#hasKernel) return 'unavailable'
		const value = (this.#disk as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(...args)
		if (name === 'openSync') this.#fds.add(value as number)
		if (name === 'closeSync') this.#fds.delete(args[0] as number)
		return value
	}
}

/** Gives the same name each time that a contender runs again. */
function named(value: unknown): unknown {
	return typeof value === 'string' ? value.replace(/-[0-9a-f]{8}\.tmp$/, '-0.tmp') : value
}

function replayed(name: string, args: unknown[], value: unknown): unknown {
	if (name !== 'readSync') return value
	const [length, bytes] = value as [number, Buffer]
	bytes.copy(args[1] as Buffer)
	return length
}

/** Returns numbers in [0, 1), the same sequence for the same seed. */
function seeded(seed: number): () => number {
	let state = seed
	return () => {
		state = (state + 0x6d2b79f5) | 0
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
	}
}

/**
 * Two or three contenders for the lock of a dead holder, some of them without the kernel lock. Some die at
 * any moment.
 */
function play(seed: number): { readonly holders: number; readonly crashes: number } {
	const random = seeded(seed)
	const chance = (share: number) => random() < share
	running.clear()
	const disk = new MemoryFileSystem()
	let pid = 1000
	const contender = () => new Contender(disk, ++pid, kernels === 'all' || (kernels === 'some' && chance(0.5)))
	const kernels = (['none', 'some', 'all'] as const)[Math.floor(random() * 3)]!
	const first = contender()
	run(first)
	first.die()
	const all = Array.from({ length: 2 + Math.floor(random() * 2) }, contender)
	let holders = 0
	let crashes = 0
	let one = first
	let turns = 0
	for (let step = 0; step < STEPS_MAX; step++) {
		const active = all.filter(({ state }) => ['trying', 'holding', 'releasing'].includes(state))
		if (active.length === 0) break
		// Most races need a contender that has just looked and pauses while the others advance.
		const hasLooked = ['statSync', 'readSync'].includes(one.last)
		if (turns-- <= 0 || (hasLooked && chance(0.2)) || !active.includes(one)) {
			one = active[Math.floor(random() * active.length)]!
			turns = Math.floor(120 ** random())
		}
		const wasHolding = one.state === 'holding'
		if (chance(0.01)) {
			one.die()
			crashes++
			if (all.length < 6) all.push(contender())
		} else if (!wasHolding || chance(0.1)) one.step()
		if (one.state === 'holding' && !wasHolding) holders++
		const holding = all.filter(({ state }) => state === 'holding')
		expect(holding.length, `never two holders (seed ${seed})`).toBeLessThan(2)
	}
	for (const each of all) each.die()
	// Nothing that they left blocks the next contender.
	const last = contender()
	run(last)
	expect(last.state, `a dead holder does not block for ever (seed ${seed})`).toBe('holding')
	return { holders, crashes }
}

/** Returns a disk with the leftovers of a killed holder. */
function afterKilledHolder(hasKernel: boolean): MemoryFileSystem {
	running.clear()
	const disk = new MemoryFileSystem()
	const killed = new Contender(disk, 1000, hasKernel)
	run(killed)
	killed.die()
	return disk
}

function run(contender: Contender, stepsMax = STEPS_MAX): void {
	for (let step = 0; step < stepsMax && contender.state === 'trying'; step++) contender.step()
}

let spy: MockInstance
beforeEach(() => {
	spy = vi.spyOn(process, 'kill').mockImplementation((pid) => kill(pid) as true)
})
afterEach(() => {
	spy.mockRestore()
	Object.defineProperty(process, 'pid', PID)
})

test('a contender that pauses at any call does not steal the lock another took meanwhile', () => {
	for (const [ofKilled, ofFirst, ofSecond] of KERNELS) {
		for (let steps = 0, isOver = false; !isOver; steps++) {
			for (const dies of [false, true]) {
				const disk = afterKilledHolder(ofKilled)
				const [first, second] = [new Contender(disk, 1001, ofFirst), new Contender(disk, 1002, ofSecond)]
				run(first, steps)
				isOver = first.state !== 'trying'
				if (dies) first.die()
				run(second)
				if (!dies) run(first)
				const states = [first.state, second.state].toSorted()
				const what = `after ${steps} calls, with the kernel: ${[ofKilled, ofFirst, ofSecond]}`
				if (dies) expect(states, what).toEqual(['dead', 'holding'])
				else expect(states, what).toEqual(['holding', 'refused'])
			}
		}
	}
})

test('contenders for the lock of a dead holder never yield two holders, and block nobody', () => {
	let holders = 0
	let crashes = 0
	for (let seed = 1; seed <= SCHEDULES; seed++) {
		const played = play(seed)
		holders += played.holders
		crashes += played.crashes
	}
	console.log(`contenders: schedules ${SCHEDULES}, holders ${holders}, crashes ${crashes}`)
	expect(holders).toBeGreaterThan(SCHEDULES / 2)
	expect(crashes).toBeGreaterThan(SCHEDULES / 10)
})
