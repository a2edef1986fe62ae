/**
 * Stores the shapes of the objects in data, and the functions that create and encode objects of these shapes.
 * The encoder shares them with the copier that makes data canonical. A record is usually encoded right after
 * its data is copied, so the copier also records the shape of each object that it creates.
 *
 * Invariant: a recorded shape is returned only for the object that was created with it, by the copier or by
 * {@link renewObject}. That object is frozen, so its shape cannot have changed.
 */
import type { ByteWriter } from './byte-writer.ts'
import { Shape, Shapes } from './shapes.ts'

/** Creates a frozen object from the values `values[start]`, `values[start + 1]` and so on. */
type Create = (values: readonly unknown[], start: number) => object

/** Appends an object to a writer. */
export type Encode = (
	writer: ByteWriter,
	map: Record<string, unknown>,
	encodeValue: (writer: ByteWriter, value: unknown) => void,
) => void

/** The generated functions of a shape. */
export interface ObjectFunctions {
	readonly create: Create
	/** Whether `Object.keys` returns the keys of a created object in the order of the shape. */
	readonly isOrdered: boolean
	/** Generated when an object of the shape is first encoded. */
	encode: Encode | undefined
}

export type ObjectShape = Shape<ObjectFunctions>

export const objectShapes = new Shapes<ObjectFunctions>((keys) => ({
	create: generateCreate(keys),
	// An object lists keys that are indexes first.
	isOrdered: !keys.some((key) => /^\d+$/.test(key)),
	encode: undefined,
}))

/** Maximum number of objects in one copy whose shapes are recorded. */
const OBJECTS_MAX = 64
/** The shape of an object without keys, or with unknown keys. */
const NO_SHAPE: ObjectShape = new Shape()

/** The objects of the newest copy, in the order in which an encoder reaches them. */
const objects: (object | undefined)[] = new Array(OBJECTS_MAX + 2).fill(undefined)
const shapes: ObjectShape[] = new Array(OBJECTS_MAX + 2).fill(NO_SHAPE)
let count = 0
let next = 0

/** Begins another copy. Releases the objects of the previous copy. */
export function beginCopy(): void {
	for (let place = 0; place < count; place++) objects[place] = undefined
	objects[OBJECTS_MAX] = undefined
	count = 0
}

/** Returns the place for an object, before the object's content is copied. */
export function nextPlace(): number {
	return count < OBJECTS_MAX ? count++ : OBJECTS_MAX
}

/** Records the shape of a copied object. `shape` is undefined if the object's keys are unknown. */
export function leaveShape(place: number, object: object, shape: ObjectShape | undefined): void {
	objects[place] = object
	shapes[place] = shape ?? NO_SHAPE
}

/** Stands for a field that {@link renewObject} omits. */
export const REMOVED = Symbol('removed')

/**
 * Returns a frozen copy of a canonical object with other values. The copy replaces the object in the newest
 * copy, so that it is encoded as fast.
 *
 * @param values A value for each key, in the order of `Object.keys`.
 * @param isShorter Whether a value is {@link REMOVED}.
 */
export function renewObject(object: object, values: readonly unknown[], isShorter: boolean): object {
	const place = objects.indexOf(object)
	if (isShorter) return renewShorter(place, Object.keys(object), values)
	const shape = place < 0 ? NO_SHAPE : shapes[place]!
	const { generated } = shape
	const renewed = generated?.isOrdered ? generated.create(values, 0) : createAny(Object.keys(object), values)
	if (place >= 0) leaveShape(place, renewed, shape)
	return renewed
}

function renewShorter(place: number, keys: readonly string[], values: readonly unknown[]): object {
	const kept = keys.filter((_key, index) => values[index] !== REMOVED)
	const keptValues = values.filter((value) => value !== REMOVED)
	const shape = shapeOf(kept)
	const functions = functionsOf(shape)
	const renewed = functions === undefined ? createAny(kept, keptValues) : functions.create(keptValues, 0)
	if (place >= 0) leaveShape(place, renewed, shape)
	return renewed
}

function createAny(keys: readonly string[], values: readonly unknown[]): object {
	const object: Record<string, unknown> = {}
	for (let index = 0; index < keys.length; index++) object[keys[index]!] = values[index]
	return Object.freeze(object)
}

/** Begins to encode a value that may be the newest copy. */
export function beginEncoding(): void {
	next = 0
}

/** Returns the recorded shape of an object, or undefined if none was recorded. */
export function shapeLeftFor(object: object): ObjectShape | undefined {
	return objects[next] === object ? shapes[next++] : undefined
}

/** Returns the shape of objects with these keys. */
export function shapeOf(keys: readonly string[]): ObjectShape {
	let shape: ObjectShape | undefined = objectShapes.root
	for (let index = 0; index < keys.length && shape !== undefined; index++)
		shape = objectShapes.after(shape, keys[index]!)
	return shape ?? NO_SHAPE
}

/** Returns the functions of a shape. Returns undefined if none were generated. */
export function functionsOf(shape: ObjectShape): ObjectFunctions | undefined {
	return shape.size === 0 ? undefined : objectShapes.functionOf(shape)
}

function generateCreate(keys: readonly string[]): Create {
	const fields = keys.map((key, index) => `${JSON.stringify(key)}: values[start + ${index}]`)
	return new Function('values', 'start', `return Object.freeze({ ${fields.join()} })`) as Create
}
