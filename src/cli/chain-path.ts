/** Checks the path of a chain before a command creates it. */
import { shellWord } from '../text/shell-word.ts'
import { usage } from './command.ts'

/**
 * Returns the path unchanged.
 *
 * @throws {MeshChainError} `INVALID_USAGE` if the name has a JSON extension, because the name would suggest
 * JSON Lines.
 */
export function chainPath(path: string): string {
	const [, stem] = /^(.*)\.(?:jsonl|ndjson|json)$/i.exec(path) ?? []
	if (stem === undefined) return path
	const [chain, lines] = [`${stem}.chain`, path].map(shellWord)
	const next = `then write JSON Lines with mesh-chain export ${chain} --to ${lines}`
	throw usage(`this command creates a chain, not JSON Lines: name it ${chain}, and ${next}`)
}
