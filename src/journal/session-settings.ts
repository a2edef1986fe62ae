/**
 * The settings that sessions made with `SET` and similar statements. They apply to the session's later
 * statements on any connection.
 */
import type { StatementData } from './statement.ts'

const SETTING = new Set(['SET', 'RESET', 'DISCARD ALL'])
/** Maximum number of settings kept for a session: the latest ones. */
export const SETTINGS_MAX = 100
const SESSIONS_MAX = 10_000
/** Texts above this length are not searched with regular expressions. */
const TEXT_MAX = 10_000

/** Settings by session. */
export class SessionSettings {
	/** Sessions, least recently used first; each holds the latest setting of every name, in order. */
	readonly #sessions = new Map<string, Map<string, StatementData>>()

	/**
	 * Notes a committed transaction. `statements` must contain at least those for which
	 * {@link concernsSession} is true.
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

	/** Returns the settings of a session in the order in which they were made. */
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

/** Returns whether a statement makes, or undoes, a setting that outlasts its transaction. */
export function concernsSession(data: StatementData): boolean {
	return isSetting(data) || savepointOf(data) !== undefined || rolledBackTo(data) !== undefined
}

/** Returns whether a statement makes a setting that outlasts its transaction. */
export function isSetting(data: StatementData): boolean {
	return keyOf(data) !== undefined
}

/** Returns the settings of a transaction that remain after its commit, by key. */
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
 * Returns the key of a setting; a later setting with the same key replaces it. Returns undefined for a
 * statement that makes no setting, that makes one for its transaction only, or that has another effect and so
 * cannot be repeated.
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

/** Returns the key of a `select set_config(…)` with one or more settings and nothing else. */
function keyOfCall(text: string, params: StatementData['params']): string | undefined {
	if (text.length > TEXT_MAX || !/set_config/i.test(text)) return undefined
	const names: string[] = []
	const given = (shown: string) =>
		shown.startsWith('$') ? String(params[Number(shown.slice(1)) - 1]) : shown.replaceAll("'", '')
	const call =
		/(?:pg_catalog\.)?set_config\s*\(\s*('[^']*'|\$\d+)\s*,[^()]*,\s*('?\w+'?|\$\d+)\s*(?:::\s*\w+\s*)?\)(?:\s*as\s+\w+)?/gi
	const beside = withoutComments(text).replace(call, (_, name: string, isLocal: string) => {
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
