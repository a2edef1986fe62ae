/**
 * Builds and parses the subjects of a stream: `<prefix>.<node>.<chain id>`. A forwarder publishes a chain
 * under one subject, so that the servers preserve the order of the chain. A chain whose node was renamed may
 * have several subjects, which share the chain id.
 */

/**
 * Encodes a node name as one token of a subject. Every byte other than an ASCII letter, a digit, `-` or `_`
 * becomes `%XX`.
 */
export function tokenOf(node: string): string {
	const bytes = [...Buffer.from(node)]
	const text = bytes.map((byte) => {
		const character = String.fromCharCode(byte)
		return /[\w-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
	})
	return text.length === 0 ? '%' : text.join('')
}

/** Decodes a token into a node name. This is the inverse of {@link tokenOf}. */
export function nodeOf(token: string): string {
	if (token === '%') return ''
	return Buffer.from(
		token.replaceAll(/%([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
		'latin1',
	).toString()
}

/** Returns the subject of a chain. */
export function subjectOf(prefix: string, node: string, chainId: string): string {
	return `${prefix}.${tokenOf(node)}.${chainId}`
}

/** The parsed subject of a chain. */
export interface ChainSubject {
	readonly subject: string
	readonly node: string
	readonly chainId: string
}

/** Parses a subject. Returns undefined if it is not the subject of a chain. */
export function parseSubject(subject: string): ChainSubject | undefined {
	const tokens = subject.split('.')
	const [node, chainId] = tokens.slice(-2)
	if (tokens.length < 3 || node === undefined || !/^[0-9a-f]{32}$/.test(chainId ?? '')) return undefined
	return { subject, node: nodeOf(node), chainId: chainId! }
}

/** A chain in a stream, with all of its subjects. */
export interface ChainSource {
	readonly chainId: string
	/** Subjects of the chain, at least one. */
	readonly subjects: readonly ChainSubject[]
}

/** Groups subjects by chain, in the order of the first subject of each chain. */
export function chainsOf(subjects: readonly string[]): ChainSource[] {
	const byId = new Map<string, ChainSubject[]>()
	for (const subject of subjects.toSorted()) {
		const parsed = parseSubject(subject)
		if (parsed === undefined) continue
		const own = byId.get(parsed.chainId) ?? []
		byId.set(parsed.chainId, own)
		own.push(parsed)
	}
	return Array.from(byId, ([chainId, own]) => ({ chainId, subjects: own }))
}
