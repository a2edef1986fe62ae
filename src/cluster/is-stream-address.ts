/** Tells addresses of streams from paths. It needs no NATS client, so that every command can ask it. */

/** Whether a name is the address of a stream rather than a path. */
export function isStreamAddress(name: string): boolean {
	return /^(?:nats|tls):\/\//i.test(name)
}
