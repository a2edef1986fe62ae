/** Well-formed text: text without lone surrogates, which UTF-8 can encode. */

// Node has both methods since 20; the TypeScript library that we compile against does not declare them.
interface WellFormedString {
	isWellFormed(): boolean
	toWellFormed(): string
}

/** Returns whether a text has no lone surrogates. */
export function isWellFormed(text: string): boolean {
	return (text as unknown as WellFormedString).isWellFormed()
}

/** Replaces lone surrogates in a text by U+FFFD, so that UTF-8 can encode it. */
export function toWellFormed(text: string): string {
	return (text as unknown as WellFormedString).toWellFormed()
}
