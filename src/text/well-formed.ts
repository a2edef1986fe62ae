/**
 * Tests whether strings are well-formed, and replaces lone surrogates. A well-formed string contains no lone
 * surrogates, so UTF-8 can encode it.
 */

// Node.js 20 and later provide both methods, but the TypeScript library for our compile target does not
// declare them.
interface WellFormedString {
	isWellFormed(): boolean
	toWellFormed(): string
}

/** Returns whether a string contains no lone surrogates. */
export function isWellFormed(text: string): boolean {
	return (text as unknown as WellFormedString).isWellFormed()
}

/** Replaces each lone surrogate in a string with U+FFFD, so that UTF-8 can encode it. */
export function toWellFormed(text: string): string {
	return (text as unknown as WellFormedString).toWellFormed()
}
