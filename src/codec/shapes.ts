/**
 * Learns the shapes of plain objects: lists of keys that occur repeatedly. For each list that occurs often, a
 * function is generated that copies, encodes or decodes objects with these keys without looking up the keys.
 *
 * The shapes form a tree, in which each node extends the list of its parent by one key. The code that
 * handles an object follows the tree from key to key. A node remembers the first key that followed it,
 * so that a step costs one comparison if objects have the same keys in the same order.
 *
 * Invariants: a generated function has the same result as the general code. Its source contains no external
 * text except keys, each as a quoted constant. A tree has at most {@link NODES_MAX} nodes and
 * {@link FUNCTIONS_MAX} functions, and keys that are ids do not fill it.
 */
import { isWellFormed } from '../text/well-formed.ts'

const NODES_MAX = 4096
const FUNCTIONS_MAX = 256
const KEYS_MAX = 128
/** Number of candidates for the tree. A power of two. */
const CANDIDATES = 1024
/** Maximum length of a key, which bounds the memory of a tree. */
const KEY_LENGTH_MAX = 63
/** Number of objects with the same keys after which a function is generated for them. */
const SIGHTINGS = 16
/** Number of keys that a full tree refuses before it is emptied, so that it can learn new shapes. */
const MISSES_MAX = 100_000

/** A list of keys. */
export class Shape<Generated> {
	/** The first key that was learned after this list, and the list extended by this key. */
	nextKey: string | undefined
	next: Shape<Generated> | undefined
	others: Map<string, Shape<Generated>> | undefined
	/** The generated function; undefined if there is none yet. */
	generated: Generated | undefined
	sightings = 0
	/** Number of the shape in its tree. */
	readonly id: number
	readonly key: string
	/** Number of keys. */
	readonly size: number
	readonly #parent: Shape<Generated> | undefined
	#keys: readonly string[] | undefined

	constructor(id = 0, key = '', parent?: Shape<Generated>) {
		this.id = id
		this.key = key
		this.size = parent === undefined ? 0 : parent.size + 1
		this.#parent = parent
	}

	/** The keys, in order. The list is created when it is needed. */
	get keys(): readonly string[] {
		this.#keys ??= this.#listKeys()
		return this.#keys
	}

	#listKeys(): readonly string[] {
		const keys = new Array<string>(this.size)
		let shape: Shape<Generated> = this
		for (let at = this.size - 1; at >= 0; at--) {
			keys[at] = shape.key
			shape = shape.#parent!
		}
		return keys
	}
}

let isGenerationAllowed = true

/** A tree of shapes. `Generated` is the type of the generated functions. */
export class Shapes<Generated> {
	readonly #generate: (keys: readonly string[]) => Generated
	#root = new Shape<Generated>()
	#nodes = 0
	#functions = 0
	#misses = 0
	#random = 1
	/** Shapes that occurred once. They are added if they occur again before another shape takes their slot. */
	readonly #candidates = Array.from({ length: CANDIDATES }, () => ({ parent: this.#root, key: '' }))

	/**
	 * @param generate Function that generates the function for a list of keys with `new Function`. The keys
	 * contain neither `__proto__`, which has a special meaning in a literal, nor lone surrogates.
	 */
	constructor(generate: (keys: readonly string[]) => Generated) {
		this.#generate = generate
	}

	/** The shape without keys. */
	get root(): Shape<Generated> {
		return this.#root
	}

	/** Returns the known shape that extends a shape by a key, or undefined if there is none. */
	after(shape: Shape<Generated>, key: string): Shape<Generated> | undefined {
		return shape.nextKey === key ? shape.next : (shape.others?.get(key) ?? this.#learn(shape, key))
	}

	/**
	 * Returns the function of a shape, or undefined if the shape has not occurred often. Each call counts as an
	 * occurrence of the shape.
	 */
	functionOf(shape: Shape<Generated>): Generated | undefined {
		return shape.generated ?? this.#sight(shape)
	}

	#learn(parent: Shape<Generated>, key: string): Shape<Generated> | undefined {
		if (parent.size === KEYS_MAX || key.length > KEY_LENGTH_MAX) return undefined
		const candidate = this.#candidates[slotOf(parent.id, key)]!
		if (candidate.parent !== parent || candidate.key !== key) {
			if (!this.#isKept()) {
				candidate.parent = parent
				candidate.key = key
			}
			return undefined
		}
		if (this.#nodes === NODES_MAX) {
			if (++this.#misses > MISSES_MAX) this.#clear()
			return undefined
		}
		if (key === '__proto__' || !isWellFormed(key)) return undefined
		const shape = new Shape(++this.#nodes, key, parent)
		if (parent.next === undefined) {
			parent.nextKey = key
			parent.next = shape
		} else {
			parent.others ??= new Map()
			parent.others.set(key, shape)
		}
		return shape
	}

	/**
	 * Returns whether a candidate keeps its slot when another key needs the slot. The result is pseudorandom,
	 * because shapes that occur in turn could otherwise displace each other forever.
	 */
	#isKept(): boolean {
		this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) | 0
		return this.#random > 0
	}

	#sight(shape: Shape<Generated>): Generated | undefined {
		if (++shape.sightings !== SIGHTINGS || this.#functions === FUNCTIONS_MAX || !isGenerationAllowed)
			return undefined
		try {
			shape.generated = this.#generate(shape.keys)
			this.#functions++
		} catch {
			// Node.js runs with `--disallow-code-generation-from-strings`.
			isGenerationAllowed = false
		}
		return shape.generated
	}

	/** Forgets all shapes. A shape that is in use stays valid. */
	#clear(): void {
		this.#root = new Shape()
		this.#nodes = 0
		this.#functions = 0
		this.#misses = 0
	}
}

/** Returns a hash of a number and some characters of a key. */
function slotOf(id: number, key: string): number {
	const { length } = key
	let hash = id * 31 + length
	// The last characters of ids differ most.
	for (let at = Math.max(0, length - 4); at < length; at++) hash = hash * 31 + key.charCodeAt(at)
	return (hash * 31 + key.charCodeAt(length >> 1)) & (CANDIDATES - 1)
}
