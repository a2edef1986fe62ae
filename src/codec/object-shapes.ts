/**
 * The shapes of the objects in data, and the functions that create and encode objects of these shapes. The
 * copier that makes data canonical and the encoder share them. The encoder of a record usually runs right
 * after the copier of its data, so the copier also leaves behind which objects it created with which shape.
 *
 * Invariant: a shape is only returned for the same object that the copier created with it. That object is
 * frozen, so its shape cannot have changed.
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
	/** Generated when an object of the shape is first encoded. */
	encode: Encode | undefined
}

export type ObjectShape = Shape<ObjectFunctions>

export const objectShapes = new Shapes<ObjectFunctions>((keys) => ({
	create: generateCreate(keys),
	encode: undefined,
}))

/** Number of objects of one copy whose shapes are left behind. */
const OBJECTS_MAX = 64
/** The shape of an object without keys, or with keys that are not known. */
const NO_SHAPE: ObjectShape = new Shape()

/** The objects of the newest copy, in the order in which an encoder reaches them. */
const objects: (object | undefined)[] = new Array(OBJECTS_MAX + 2).fill(undefined)
const shapes: ObjectShape[] = new Array(OBJECTS_MAX + 2).fill(NO_SHAPE)
let count = 0
let next = 0

/** Begins another copy. The objects of the previous copy are no longer held. */
export function beginCopy(): void {
	for (let place = 0; place < count; place++) objects[place] = undefined
	objects[OBJECTS_MAX] = undefined
	count = 0
}

/** Returns the place of an object that is about to be copied. Its content is copied later. */
export function nextPlace(): number {
	return count < OBJECTS_MAX ? count++ : OBJECTS_MAX
}

/** Records the shape of a copied object. `shape` is undefined if its keys are not known. */
export function leaveShape(place: number, object: object, shape: ObjectShape | undefined): void {
	objects[place] = object
	shapes[place] = shape ?? NO_SHAPE
}

/** Begins to encode a value that may be the newest copy. */
export function beginEncoding(): void {
	next = 0
}

/** Returns the shape that was left behind for an object; undefined if none was. */
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
