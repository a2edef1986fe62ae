/** Policies choose the mode of a source by its name, and override the mode passed to `archive`. */
import { RE2JS } from 're2js'
import { show } from '../guard/show.ts'
import { checkName, checkOptionNames } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { checkSampleMode, type SampleMode } from './source.ts'

/** Chooses the mode of every source whose name matches. */
export interface SourcePolicy {
	/** Name of the policy. The name is recorded with each source to which the policy applies. */
	readonly name: string
	/** Name of a source, or a glob: `*` matches any number of characters, and `?` matches one character. */
	readonly match: string
	/** Mode of the matching sources. */
	readonly mode: SampleMode
}

/** The policies of a manager. */
export class Policies {
	readonly #exact = new Map<string, SourcePolicy>()
	readonly #globs: { readonly policy: SourcePolicy; readonly pattern: RE2JS }[] = []

	/** @throws {MeshChainError} `INVALID_POLICY`. The message identifies the invalid policy. */
	constructor(policies: readonly SourcePolicy[]) {
		if (!Array.isArray(policies)) throw invalid(`policies must be an array, not ${show(policies)}`)
		const names = new Set<string>()
		for (const [index, given] of policies.entries()) {
			const policy = checked(given, index)
			if (names.has(policy.name))
				throw invalid(`policy ${index + 1}: there is already a policy named ${show(policy.name)}`)
			names.add(policy.name)
			this.#add(policy)
		}
	}

	/**
	 * Returns the policy for the exact name. Otherwise, returns the first policy whose glob matches, or
	 * undefined. For any glob, the search time is linear in the length of the name.
	 */
	find(name: string): SourcePolicy | undefined {
		return this.#exact.get(name) ?? this.#globs.find(({ pattern }) => pattern.testExact(name))?.policy
	}

	#add(policy: SourcePolicy): void {
		if (/[*?]/.test(policy.match)) this.#globs.push({ policy, pattern: patternOf(policy.match) })
		else if (!this.#exact.has(policy.match)) this.#exact.set(policy.match, policy)
	}
}

/**
 * Compiles a glob. RE2 never backtracks, so a glob with many stars takes no longer than a glob with one star.
 */
function patternOf(glob: string): RE2JS {
	const parts = glob
		.split(/([*?])/)
		.map((part) => (part === '*' ? '.*' : part === '?' ? '.' : RE2JS.quote(part)))
	return RE2JS.compile(parts.join(''), RE2JS.DOTALL)
}

function checked(policy: SourcePolicy, index: number): SourcePolicy {
	try {
		checkOptionNames(policy, ['name', 'match', 'mode'])
		const name = checkName('name', policy.name)
		return { name, match: checkName('match', policy.match), mode: checkSampleMode(policy.mode) }
	} catch (error) {
		throw invalid(`policy ${index + 1}: ${(error as Error).message}`)
	}
}

function invalid(text: string): MeshChainError {
	return new MeshChainError('INVALID_POLICY', text)
}
