/**
 * Distinguishes stream addresses from paths. This module does not load the NATS client, so every command can
 * use it.
 */

/** Returns whether a name is a stream address rather than a path. */
export function isStreamAddress(name: string): boolean {
	return /^(?:nats|tls):\/\//i.test(name)
}
