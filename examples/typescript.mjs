/**
 * Lets Node run the TypeScript files in examples/:
 * `node --import ./examples/typescript.mjs examples/demo/run.ts`.
 *
 * Node 22.18 and later strip types and do not need `--import`. On older versions, this module registers
 * itself as a loader, which Node runs in a separate thread.
 */
import { readFile } from 'node:fs/promises'
import { register } from 'node:module'
import { isMainThread } from 'node:worker_threads'

if (isMainThread && !process.features.typescript) register(import.meta.url)

/** @type {import('node:module').LoadHook} */
export async function load(url, context, nextLoad) {
	if (!/^file:.*\.ts$/.test(url)) return nextLoad(url, context)
	const { default: ts } = await import('typescript')
	const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
	const source = await readFile(new URL(url), 'utf8')
	return {
		format: 'module',
		source: ts.transpileModule(source, { compilerOptions }).outputText,
		shortCircuit: true,
	}
}
