/** The checks that every `resolve…` of options shares. */
import { MeshChainError } from './errors.ts'
import { show } from './record.ts'

/**
 * Refuses options that are no object or hold a name that is not known: a misspelt option must not pass for a default.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkOptionNames(options: unknown, names: readonly string[]): void {
	if (typeof options !== 'object' || options === null || Array.isArray(options)) {
		throw new MeshChainError('INVALID_OPTION', `options must be an object, not ${show(options)}`)
	}
	for (const name of Object.keys(options)) {
		if (names.includes(name)) continue
		throw new MeshChainError('INVALID_OPTION', `no such option: ${show(name)} (one of ${names.join(', ')})`)
	}
}

/** @throws {MeshChainError} `INVALID_OPTION` for anything but a whole number from `min`. */
export function checkWholeNumber(name: string, value: unknown, min: number): number {
	if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return value
	throw new MeshChainError('INVALID_OPTION', `${name} must be a whole number from ${min}, not ${show(value)}`)
}
