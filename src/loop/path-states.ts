/**
 * Compiles paths to an automaton, so that data is walked once for all paths. A state stands for the places in
 * all paths that a position in data has reached. States are created when data first reaches them.
 *
 * Invariant: the memory of an automaton is bounded, regardless of the keys in data. When too many steps are
 * cached, the automaton forgets its states and creates them again.
 */
import { ANY, ANY_DEPTH, type PathStep } from './redact-path.ts'

/** Maximum number of states and cached steps. */
const CACHED_MAX = 8192
/** Maximum length of a key whose step is cached. */
const KEY_LENGTH_MAX = 64

/** A place in the paths. Paths that begin with the same steps share their places. */
class Place {
	readonly id: number
	/** Places after a key. The keys are in lower case. */
	readonly keys = new Map<string, Place>()
	any: Place | undefined
	anyDepth: Place | undefined
	/** Whether this place follows `**`, so that it is also reached at every level below. */
	isSticky = false
	/** Whether a path ends here. */
	isEnd = false

	constructor(id: number) {
		this.id = id
	}
}

/** What the paths select at one position in data. */
export class PathState {
	/** Whether a path selects the value at this position. */
	readonly isSelected: boolean
	readonly #places: readonly Place[]
	readonly #states: PathStates
	readonly #hasIndexes: boolean
	readonly #next = new Map<string, PathState | undefined>()
	#element: PathState | undefined
	#isElementKnown = false

	constructor(places: readonly Place[], states: PathStates) {
		this.#places = places
		this.#states = states
		this.isSelected = places.some(({ isEnd }) => isEnd)
		this.#hasIndexes = places.some(({ keys }) => [...keys.keys()].some((key) => /^\d+$/.test(key)))
	}

	/** Returns the state of a field. Returns undefined if no path leads there or further. */
	field(key: string): PathState | undefined {
		const known = this.#next.get(key)
		if (known !== undefined || this.#next.has(key)) return known
		const next = this.#states.after(this.#places, key.toLowerCase())
		if (key.length <= KEY_LENGTH_MAX) {
			this.#states.count()
			this.#next.set(key, next)
		}
		return next
	}

	/** Returns the state of an element. Returns undefined if no path leads there or further. */
	element(index: number): PathState | undefined {
		if (this.#hasIndexes) return this.field(String(index))
		if (!this.#isElementKnown) {
			this.#element = this.#states.after(this.#places, undefined)
			this.#isElementKnown = true
		}
		return this.#element
	}
}

export class PathStates {
	readonly #root: Place
	#places = 0
	#cached = 0
	#start: PathState | undefined
	readonly #states = new Map<string, PathState>()

	constructor(paths: readonly (readonly PathStep[])[]) {
		this.#root = this.#newPlace()
		for (const steps of paths) this.#add(steps)
	}

	/** The state of the data as a whole. */
	get start(): PathState {
		this.#start ??= this.#stateOf(new Set(reached(this.#root)))!
		return this.#start
	}

	/** Returns the state after one more level. `key` is in lower case; undefined for any element. */
	after(places: readonly Place[], key: string | undefined): PathState | undefined {
		const next = new Set<Place>()
		for (const place of places) {
			if (place.isSticky) next.add(place)
			const named = key === undefined ? undefined : place.keys.get(key)
			for (const each of [named, place.any]) for (const at of reached(each)) next.add(at)
		}
		return this.#stateOf(next)
	}

	/** Counts a state or a cached step. If there are too many, forgets all states that are not in use. */
	count(): void {
		if (++this.#cached <= CACHED_MAX) return
		this.#cached = 0
		this.#start = undefined
		this.#states.clear()
	}

	#stateOf(places: ReadonlySet<Place>): PathState | undefined {
		if (places.size === 0) return undefined
		const sorted = [...places].sort((a, b) => a.id - b.id)
		const name = sorted.map(({ id }) => id).join()
		let state = this.#states.get(name)
		if (state === undefined) {
			this.count()
			state = new PathState(sorted, this)
			this.#states.set(name, state)
		}
		return state
	}

	#add(steps: readonly PathStep[]): void {
		let place = this.#root
		for (const step of steps) {
			if (step === ANY) place = place.any ??= this.#newPlace()
			else if (step === ANY_DEPTH) {
				place = place.anyDepth ??= this.#newPlace()
				place.isSticky = true
			} else place = this.#after(place, step.toLowerCase())
		}
		place.isEnd = true
	}

	#after(place: Place, key: string): Place {
		const next = place.keys.get(key) ?? this.#newPlace()
		place.keys.set(key, next)
		return next
	}

	#newPlace(): Place {
		return new Place(this.#places++)
	}
}

/** Returns a place, and the places that `**` reaches from it without another level. */
function* reached(place: Place | undefined): Generator<Place> {
	for (let at = place; at !== undefined; at = at.anyDepth) yield at
}
