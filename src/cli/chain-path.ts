/** Checks the path of a chain that a command creates. */
import { shellWord } from '../text/shell-word.ts'
import { usage } from './command.ts'

/**
 * Returns the path, unchanged.
 *
 * @throws {MeshChainError} `INVALID_USAGE` for a name that ends like JSON, because readers would take the
 * chain for JSON Lines.
 */
export function chainPath(path: string): string {
	const [, stem] = /^(.*)\.(?:jsonl|ndjson|json)$/i.exec(path) ?? []
	if (stem === undefined) return path
	const [chain, lines] = [`${stem}.chain`, path].map(shellWord)
	const next = `mesh-chain export ${chain} --to ${lines} then writes JSON Lines`
	throw usage(`this command makes a chain, not JSON Lines: name it ${chain}; ${next}`)
}
