/** Finds and reads the registry for `mesh-chain sources`, and checks that it is complete. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type ChainInfo, openChain } from '../chain/index.ts'
import { formatTime } from '../pretty/format-time.ts'
import type { Paint } from '../pretty/paint.ts'
import type { SourceEntry } from '../sources/entry.ts'
import { type RegistryContents, readRegistry } from '../sources/registry.ts'
import { counted } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { usage } from './command.ts'
import { stateText } from './info.ts'
import { linesOf, type Printable, printablePath, printed } from './printable.ts'
import type { Terminal } from './terminal.ts'
import { formatAgo } from './times.ts'

const REGISTRY_NAME = 'sources.chain'

/** The contents of a registry file. */
export interface RegistryFile {
	readonly path: string
	/** Sources, sorted by name. */
	readonly entries: readonly SourceEntry[]
	readonly savedMs: number | undefined
	/** Number of absent records, not counting records that retention removed. */
	readonly missing: number
	readonly info: ChainInfo
}

/**
 * Reads a registry.
 *
 * @param target Path of the registry, or of the folder that contains it.
 * @throws {MeshChainError} `INVALID_USAGE` if there is no registry, or a code of `openChain`.
 */
export async function readRegistryFile(target: string): Promise<RegistryFile> {
	const path = registryPath(target)
	const contents = await readRegistry(path)
	await using chain = await openChain(path)
	const info = await chain.info({ full: true })
	refuseOther(path, contents, info)
	const entries = [...contents.entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
	return { path, entries, savedMs: contents.savedMs, missing: contents.missing, info }
}

function registryPath(target: string): string {
	const found = statSync(target, { throwIfNoEntry: false })
	if (found === undefined) throw usage(`${target} does not exist: name a registry or its folder`)
	if (!found.isDirectory()) return target
	const path = join(target, REGISTRY_NAME)
	if (statSync(path, { throwIfNoEntry: false }) !== undefined) return path
	throw usage(`${target} contains no ${REGISTRY_NAME}: if the registry has another name, specify its file`)
}

/** Rejects chains that are not registries, because they would look like an empty registry. */
function refuseOther(path: string, { savedMs, missing }: RegistryContents, { records }: ChainInfo): void {
	if (savedMs !== undefined || missing > 0 || records === 0) return
	throw usage(`${path} is not a registry: name the chain that a SourceManager uses as its registry`)
}

/**
 * Returns whether the writer of the registry is running. If it is not, the connections and rates are not
 * current.
 */
export function isLive({ info }: RegistryFile): boolean {
	return info.state === 'open'
}

/** Returns the time at which the contents of the registry were current. */
export function asOfMs(registry: RegistryFile, nowMs: number): number {
	return isLive(registry) ? nowMs : (registry.savedMs ?? nowMs)
}

/** Returns the header lines for a report. */
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
		lines.push(printed`           no writer is running: connections and rates were current at that time`)
	return printed`${linesOf(lines)}\n`
}

/** Returns the contents of the header lines as fields for JSON. */
export function registryFields({ path, savedMs, missing, info }: RegistryFile) {
	const { state, exitCode = null, holder = null } = info
	return { path, savedMs, state, exitCode, holder, missing }
}

/** Returns a copy in which null replaces undefined, so that JSON contains all fields. */
export function withNulls(value: unknown): unknown {
	if (value === undefined) return null
	if (Array.isArray(value)) return value.map(withNulls)
	if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
		return value
	return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withNulls(field)]))
}

/** Reports on stderr any missing or unreadable parts of the registry. Returns whether there are any. */
export function tellDamage({ path, missing, info }: RegistryFile, { stderr }: Terminal): boolean {
	if (missing === 0 && info.damagedPlaces === 0) return false
	const what =
		missing === 0
			? 'part of the registry cannot be read'
			: `${counted(missing, 'record is', 'records are')} absent`
	const next = `mesh-chain verify ${shellWord(path)}`
	stderr.write(printed`mesh-chain: ${path}: ${what}, so sources may be missing or outdated; next: ${next}\n`)
	return true
}
