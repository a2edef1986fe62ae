/** What the tests use of the oracle. */

export interface NamedFile {
	readonly name: string
	readonly bytes: Uint8Array
}

export interface OracleRecord {
	readonly seq: number
	readonly epoch: number
	readonly tsMs: number
	readonly level: number
	readonly kind: string
	readonly message: string
	readonly daemonId: unknown
	readonly nodeId: unknown
	readonly origin: { readonly chainId: string; readonly epoch: number; readonly seq: number } | null
	readonly data: unknown
	/** A gap that the reader made. */
	readonly isMade?: boolean
}

export interface OracleOptions {
	readonly name?: string
	readonly bootId?: string
	readonly head?: string
}

export interface OracleChain {
	readonly refused: string
	readonly chainId: string | null
	readonly records: readonly OracleRecord[]
	/** The seq that comes next where the chain ends in damage; how many are lost there is a guess. */
	readonly unreadableFrom: number | null
	readonly heads: readonly { readonly seq: number; readonly text: string }[]
}

export interface OracleVerdict {
	readonly refused: string
	readonly answer: string
	readonly lost: number
	readonly findings: readonly {
		readonly severity: string
		readonly code: string
		readonly file: string | undefined
		readonly offset: number
	}[]
}

export interface Mutation {
	readonly mutator: string
	readonly files: readonly NamedFile[]
	readonly what: string
}

/** Builds a chain of several files; what it writes fits, unless a field is given. */
export class Forge {
	constructor(options?: object)
	/** The file that is written at the moment. */
	readonly file: {
		nextSeq: number
		readonly length: number
		readonly link: Uint8Array
		readonly linkedTo: number
		bytes(): Buffer
		raw(bytes: Uint8Array): number
		frame(records: readonly object[], fields?: object): number
	}
	frame(records: readonly object[], fields?: object): number
	gap(toSeq: number, cause: string, fields?: object): number
	anchor(reason: number, fields?: object): number
	seal(options?: object): number
	watermark(fields?: object): void
	files(): NamedFile[]
}
export const CLOSED: number
export const SPAN: number
export const REPAIRED: number
export function sha256(...parts: readonly Uint8Array[]): Buffer
export function readChain(files: readonly NamedFile[], options?: OracleOptions): OracleChain
/** Throws where `options.head` is no head. */
export function verify(files: readonly NamedFile[], options?: OracleOptions): OracleVerdict
export function recordKey(record: unknown): string
export function forgeChain(random: () => number, options?: object): { files(): NamedFile[] }
export function mutate(
	files: readonly NamedFile[],
	random: () => number,
	options?: { readonly only?: readonly string[] },
): Mutation
export const mutators: Readonly<Record<string, unknown>>
