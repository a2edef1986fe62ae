/** What a session was told by `SET` and the like: that holds for all it does afterwards, on whatever connection it is replayed. */
import type { StatementData } from './statement.ts'

const SETTING = new Set(['SET', 'RESET', 'DISCARD ALL'])
/** Of one session; of those that were made last. */
export const SETTINGS_MAX = 100
const SESSIONS_MAX = 10_000
/** Longer texts are looked through by no expression. */
const TEXT_MAX = 10_000

export class SessionSettings {
	/** The least recently used session first; in each, the latest setting of a name, in their order. */
	readonly #sessions = new Map<string, Map<string, StatementData>>()

	/** Takes a transaction that committed: those of its statements that {@link concernsSession}, at least. */
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

	/** In the order in which they were made. */
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

/** Whether it makes a setting that outlasts its transaction, or says which of those made in it do not. */
export function concernsSession(data: StatementData): boolean {
	return isSetting(data) || savepointOf(data) !== undefined || rolledBackTo(data) !== undefined
}

/** Whether it makes a setting that outlasts its transaction, where that commits. */
export function isSetting(data: StatementData): boolean {
	return keyOf(data) !== undefined
}

/** By key: what is left of the settings of a transaction once it has committed. */
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
 * What the next one of the same key stands in place of. Undefined for what makes no setting, or one for its transaction only. A text that
 * does something else too cannot be done again.
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

/** `select set_config(…)`, of one setting or several, and nothing beside it. */
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
