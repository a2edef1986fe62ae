/** Which source is archived how, by its name, whatever whoever archives it asked for. */
import { RE2JS } from 're2js'
import { show } from '../guard/show.ts'
import { checkName, checkOptionNames } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { checkSampleMode, type SampleMode } from './source.ts'

export interface SourcePolicy {
	/** Of the policy; it is kept with the sources it decided on. */
	readonly name: string
	/** A source's whole name, or a glob: `*` for any number of characters, `?` for one. */
	readonly match: string
	readonly mode: SampleMode
}

export class Policies {
	readonly #exact = new Map<string, SourcePolicy>()
	readonly #globs: { readonly policy: SourcePolicy; readonly pattern: RE2JS }[] = []

	/** @throws {MeshChainError} `INVALID_POLICY`, saying which one. */
	constructor(policies: readonly SourcePolicy[]) {
		if (!Array.isArray(policies)) throw invalid(`policies must be an array, not ${show(policies)}`)
		const names = new Set<string>()
		for (const [index, given] of policies.entries()) {
			const policy = checked(given, index)
			if (names.has(policy.name)) throw invalid(`policy ${index + 1}: ${show(policy.name)} is there already`)
			names.add(policy.name)
			this.#add(policy)
		}
	}

	/** The one for the exact name, or else the first glob that matches. Takes time linear in the name, whatever the globs are. */
	find(name: string): SourcePolicy | undefined {
		return this.#exact.get(name) ?? this.#globs.find(({ pattern }) => pattern.testExact(name))?.policy
	}

	#add(policy: SourcePolicy): void {
		if (/[*?]/.test(policy.match)) this.#globs.push({ policy, pattern: patternOf(policy.match) })
		else if (!this.#exact.has(policy.match)) this.#exact.set(policy.match, policy)
	}
}

/** RE2 never backtracks: a glob of many stars costs what one of them costs. */
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
