/** The registry that `mesh-chain sources` is about: found, read, and told how it came to be as it is. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type ChainInfo, openChain } from '../chain/index.ts'
import type { SourceEntry } from '../sources/entry.ts'
import { type RegistryContents, readRegistry } from '../sources/registry.ts'
import { shellWord } from '../text/shell-word.ts'
import { usage } from './command.ts'
import { stateText } from './info.ts'
import { count } from './numbers.ts'
import { linesOf, type Printable, printablePath, printed } from './printable.ts'
import type { Paint, Terminal } from './terminal.ts'
import { formatAgo, formatTime } from './times.ts'

const REGISTRY_NAME = 'sources.chain'

export interface RegistryFile {
	readonly path: string
	/** In the order of their names. */
	readonly entries: readonly SourceEntry[]
	readonly savedMs: number | undefined
	/** Records that are absent, and not because they grew too old. */
	readonly missing: number
	readonly info: ChainInfo
}

/**
 * @param target the folder that holds the registry, or the registry itself.
 * @throws {MeshChainError} `INVALID_USAGE` where there is none, and what `openChain` throws.
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
	if (found === undefined) throw usage(`there is no folder, and no registry, ${target}: is the path right?`)
	if (!found.isDirectory()) return target
	const path = join(target, REGISTRY_NAME)
	if (statSync(path, { throwIfNoEntry: false }) !== undefined) return path
	throw usage(
		`${target} holds no registry: new SourceManager(loop, { registry: '${path}' }) makes one; one of another name is named itself`,
	)
}

/** Any chain can be read as a registry that holds nothing. */
function refuseOther(path: string, { savedMs, missing }: RegistryContents, { records }: ChainInfo): void {
	if (savedMs !== undefined || missing > 0 || records === 0) return
	throw usage(`${path} is no registry of sources: name the chain that a SourceManager has as its registry`)
}

/** Somebody is writing it, so what it says of connections and rates holds now. */
export function isLive({ info }: RegistryFile): boolean {
	return info.state === 'open'
}

/** The moment that the registry tells of. */
export function toldMs(registry: RegistryFile, nowMs: number): number {
	return isLive(registry) ? nowMs : (registry.savedMs ?? nowMs)
}

/** What stands above each report. */
export function registryHead(registry: RegistryFile, terminal: Terminal, paint: Paint): Printable {
	const { path, savedMs, info } = registry
	const asOf =
		savedMs === undefined
			? 'nothing was archived yet'
			: `${formatTime(savedMs)}, ${formatAgo(terminal.now() - savedMs)}`
	const lines = [
		paint('bold', printablePath(path)),
		printed`as of      ${asOf}`,
		printed`writer     ${stateText(info, paint)}`,
	]
	if (!isLive(registry) && savedMs !== undefined)
		lines.push(
			printed`           nobody archives at present: what is said of connections and rates was so then`,
		)
	return printed`${linesOf(lines)}\n`
}

/** The same for a program. */
export function registryFields({ path, savedMs, missing, info }: RegistryFile) {
	const { state, exitCode = null, holder = null } = info
	return { path, savedMs, state, exitCode, holder, missing }
}

/** A copy with null in every field that is not set, so that JSON has all fields. */
export function withNulls(value: unknown): unknown {
	if (value === undefined) return null
	if (Array.isArray(value)) return value.map(withNulls)
	if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
		return value
	return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withNulls(field)]))
}

/** Says on stderr what is missing from the registry; whether anything is. */
export function tellDamage({ path, missing, info }: RegistryFile, { stderr }: Terminal): boolean {
	if (missing === 0 && info.damagedPlaces === 0) return false
	const what = missing === 0 ? 'a part of it cannot be read' : `${count(missing)} of its records are absent`
	stderr.write(
		printed`mesh-chain: ${path}: ${what}: sources may be missing, or stand as they were before; next: mesh-chain verify ${shellWord(path)}\n`,
	)
	return true
}
