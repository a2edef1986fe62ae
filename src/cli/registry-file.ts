/** Finds and reads the registry for `mesh-chain sources`, and checks whether it is complete. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type ChainInfo, openChain } from '../chain/index.ts'
import type { SourceEntry } from '../sources/entry.ts'
import { type RegistryContents, readRegistry } from '../sources/registry.ts'
import { counted } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { usage } from './command.ts'
import { stateText } from './info.ts'
import { linesOf, type Printable, printablePath, printed } from './printable.ts'
import type { Paint, Terminal } from './terminal.ts'
import { formatAgo, formatTime } from './times.ts'

const REGISTRY_NAME = 'sources.chain'

/** A registry that was read from its file. */
export interface RegistryFile {
	readonly path: string
	/** Sources, sorted by name. */
	readonly entries: readonly SourceEntry[]
	readonly savedMs: number | undefined
	/** Number of absent records, without those that retention removed. */
	readonly missing: number
	readonly info: ChainInfo
}

/**
 * Reads a registry.
 *
 * @param target the folder that holds the registry, or the registry itself.
 * @throws {MeshChainError} `INVALID_USAGE` if there is no registry, and the codes of `openChain`.
 */
export async function readRegistryFile(target: string): Promise<RegistryFile> {
	const path = registryPath(target)
	const contents = await readRegistry(path)
	await using chain = await openChain(path)
	const info = await chain.info()
	refuseOther(path, contents, info)
	const entries = [...contents.entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
	return { path, entries, savedMs: contents.savedMs, missing: contents.missing, info }
}

function registryPath(target: string): string {
	const found = statSync(target, { throwIfNoEntry: false })
	if (found === undefined) throw usage(`there is neither a folder nor a registry ${target}: check the path`)
	if (!found.isDirectory()) return target
	const path = join(target, REGISTRY_NAME)
	if (statSync(path, { throwIfNoEntry: false }) !== undefined) return path
	throw usage(`${target} holds no ${REGISTRY_NAME}: if the registry has another name, name the file itself`)
}

/** Rejects other chains, which would read as an empty registry. */
function refuseOther(path: string, { savedMs, missing }: RegistryContents, { records }: ChainInfo): void {
	if (savedMs !== undefined || missing > 0 || records === 0) return
	throw usage(`${path} is not a registry: name the chain that a SourceManager uses as its registry`)
}

/** Whether the registry's writer is alive, so that its connections and rates are current. */
export function isLive({ info }: RegistryFile): boolean {
	return info.state === 'open'
}

/** Returns the time that the registry describes. */
export function asOfMs(registry: RegistryFile, nowMs: number): number {
	return isLive(registry) ? nowMs : (registry.savedMs ?? nowMs)
}

/** Returns the lines above each report. */
export function registryHead(registry: RegistryFile, terminal: Terminal, paint: Paint): Printable {
	const { path, savedMs, info } = registry
	const asOf =
		savedMs === undefined
			? 'nothing archived yet'
			: `${formatTime(savedMs)}, ${formatAgo(terminal.now() - savedMs)}`
	const lines = [
		paint('bold', printablePath(path)),
		printed`as of      ${asOf}`,
		printed`writer     ${stateText(info, paint)}`,
	]
	if (!isLive(registry) && savedMs !== undefined)
		lines.push(printed`           no writer at present: connections and rates are those of that time`)
	return printed`${linesOf(lines)}\n`
}

/** Returns the fields of the same lines, for JSON. */
export function registryFields({ path, savedMs, missing, info }: RegistryFile) {
	const { state, exitCode = null, holder = null } = info
	return { path, savedMs, state, exitCode, holder, missing }
}

/** Returns a copy with null in every unset field, so that JSON has all fields. */
export function withNulls(value: unknown): unknown {
	if (value === undefined) return null
	if (Array.isArray(value)) return value.map(withNulls)
	if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
		return value
	return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withNulls(field)]))
}

/** Reports on stderr what is missing from the registry. Returns whether anything is. */
export function tellDamage({ path, missing, info }: RegistryFile, { stderr }: Terminal): boolean {
	if (missing === 0 && info.damagedPlaces === 0) return false
	const what =
		missing === 0 ? 'a part of it cannot be read' : `${counted(missing, 'record is', 'records are')} absent`
	const next = `mesh-chain verify ${shellWord(path)}`
	stderr.write(printed`mesh-chain: ${path}: ${what}: sources may be missing or out of date; next: ${next}\n`)
	return true
}
