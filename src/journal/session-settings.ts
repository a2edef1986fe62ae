/**
 * Tracks the settings that sessions changed with `SET` and similar statements. Later statements of a session
 * depend on these settings, so a replay applies them on each connection that it uses for the session.
 */
import type { StatementData } from './statement.ts'

const SETTING = new Set(['SET', 'RESET', 'DISCARD ALL'])
/** Maximum number of settings per session. The latest settings are kept. */
export const SETTINGS_MAX = 100
const SESSIONS_MAX = 10_000
/** Maximum length of a text that is searched with regular expressions. */
const TEXT_MAX = 10_000

/** Settings of all sessions. */
export class SessionSettings {
	/**
	 * The latest statement for each setting of each session, in statement order. The least recently used
	 * session is first.
	 */
	readonly #sessions = new Map<string, Map<string, StatementData>>()

	/**
	 * Registers a committed transaction. `statements` must include every statement for which
	 * {@link concernsSession} returns true.
	 */
	note(session: string, statements: readonly StatementData[]): void {
		const made = lasting(statements)
		if (made.length === 0) return
		const settings = this.#sessions.get(session) ?? new Map<string, StatementData>()
		for (const [key, statement] of made) {
			settings.delete(key)
			if (statement.commands.includes('DISCARD ALL')) settings.clear()
			else settings.set(key, statement)
			dropOldest(settings, SETTINGS_MAX)
		}
		this.#sessions.set(session, settings)
		this.#used(session, settings)
		dropOldest(this.#sessions, SESSIONS_MAX)
	}

	/** Returns the statements that restore the settings of a session, in their original order. */
	of(session: string): Iterable<StatementData> {
		const settings = this.#sessions.get(session)
		if (settings === undefined) return []
		this.#used(session, settings)
		return settings.values()
	}

	#used(session: string, settings: Map<string, StatementData>): void {
		this.#sessions.delete(session)
		if (settings.size > 0) this.#sessions.set(session, settings)
	}
}

/**
 * Returns whether a statement changes a setting beyond its transaction, or is needed to determine whether
 * such a change was undone.
 */
export function concernsSession(data: StatementData): boolean {
	return isSetting(data) || savepointOf(data) !== undefined || rolledBackTo(data) !== undefined
}

/** Returns whether a statement changes a setting beyond its transaction. */
export function isSetting(data: StatementData): boolean {
	return keyOf(data) !== undefined
}

/** Returns the statements whose changes to settings outlast the transaction, each with its key. */
function lasting(statements: readonly StatementData[]): [key: string, StatementData][] {
	const made: [string, StatementData][] = []
	const savepoints = new Map<string, number>()
	for (const statement of statements) {
		const key = keyOf(statement)
		const [savepoint, undone] = [savepointOf(statement), rolledBackTo(statement)]
		if (key !== undefined) made.push([key, statement])
		if (savepoint !== undefined) savepoints.set(savepoint, made.length)
		if (undone !== undefined) made.length = Math.min(made.length, savepoints.get(undone) ?? 0)
	}
	return made
}

/**
 * Returns the key of the setting that a statement changes. A later statement with the same key replaces an
 * earlier one. Returns undefined if the statement does not change a setting, if it changes a setting only for
 * its transaction, or if it has other effects and therefore cannot be repeated.
 */
function keyOf({ commands, text, params, error, unreplayable }: StatementData): string | undefined {
	if (error !== undefined || unreplayable !== undefined || commands.length === 0) return undefined
	if (commands.length === 1 && commands[0] === 'SELECT') return keyOfCall(text, params)
	if (!commands.every((command) => SETTING.has(command))) return undefined
	const whole = JSON.stringify([text, params])
	if (commands.length > 1 || text.length > TEXT_MAX) return whole
	const bare = withoutComments(text)
	if (/^set\s+(?:local|transaction)\b/i.test(bare)) return undefined
	const [, name] = /^(?:re)?set\s+(?:session\s+)?("[^"]+"|[\w.]+)/i.exec(bare) ?? []
	return name?.toLowerCase() ?? whole
}

/** Matches a call to `set_config`, and captures the name of the setting and the `is_local` argument. */
const SET_CONFIG = new RegExp(
	String.raw`(?:pg_catalog\.)?set_config\s*\(\s*('[^']*'|\$\d+)\s*,[^()]*,` +
		String.raw`\s*('?\w+'?|\$\d+)\s*(?:::\s*\w+\s*)?\)(?:\s*as\s+\w+)?`,
	'gi',
)

/** Returns the key for a `SELECT` that consists only of `set_config` calls. */
function keyOfCall(text: string, params: StatementData['params']): string | undefined {
	if (text.length > TEXT_MAX || !/set_config/i.test(text)) return undefined
	const names: string[] = []
	const given = (shown: string) =>
		shown.startsWith('$') ? String(params[Number(shown.slice(1)) - 1]) : shown.replaceAll("'", '')
	const beside = withoutComments(text).replace(SET_CONFIG, (_, name: string, isLocal: string) => {
		if (!/^(?:t|y|on|1)/i.test(given(isLocal))) names.push(given(name).toLowerCase())
		return ''
	})
	return /^select[\s,;]*$/i.test(beside) && names.length > 0 ? names.join() : undefined
}

function savepointOf({ commands, text, error }: StatementData): string | undefined {
	if (error !== undefined || commands[0] !== 'SAVEPOINT' || text.length > TEXT_MAX) return undefined
	return /\bsavepoint\s+("[^"]+"|\w+)/i.exec(text)?.[1]?.toLowerCase()
}

function rolledBackTo({ commands, text, error, end }: StatementData): string | undefined {
	if (error !== undefined || end !== undefined || !commands.includes('ROLLBACK')) return undefined
	if (text.length > TEXT_MAX) return ''
	const [, name] =
		/\brollback\s+(?:(?:work|transaction)\s+)?to\s+(?:savepoint\s+)?("[^"]+"|\w+)/i.exec(text) ?? []
	return name?.toLowerCase() ?? ''
}

function withoutComments(text: string): string {
	return text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ').trim()
}

function dropOldest(map: Map<string, unknown>, max: number): void {
	const [oldest] = map.keys()
	if (map.size > max && oldest !== undefined) map.delete(oldest)
}
