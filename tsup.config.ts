import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { defineConfig, type Options } from 'tsup'

const PROGRAM = 'dist/cli/main.js'
const LINK = 'node_modules/.bin/mesh-chain'
const LIBRARY = [
	'src/index.ts',
	'src/cluster/index.ts',
	'src/consume/index.ts',
	'src/journal/index.ts',
	'src/recorder/index.ts',
	'src/sources/index.ts',
	'src/testing/index.ts',
]

const ROOT = 'src/index.ts'

/**
 * Makes the other entries import the root entry. esbuild puts modules that the same entries need into the
 * same file, so everything that the root entry needs is in a few files instead of one for each combination of
 * entries. Finding and loading a file takes time, even if the file is small.
 */
const fewFiles: NonNullable<Options['esbuildPlugins']>[number] = {
	name: 'few-files',
	setup(build) {
		build.onLoad({ filter: /\/src\/(?:\w+\/index|cli\/main)\.ts$/ }, async ({ path }) => {
			const source = await readFile(path, 'utf8')
			if (path.includes('/src/chain/')) return { contents: source, loader: 'ts' }
			const root = JSON.stringify(resolve(ROOT))
			return { contents: `${source}\nimport { MeshLoop as _ } from ${root}\n`, loader: 'ts' }
		})
	},
}

const common: Options = {
	target: 'node20',
	platform: 'node',
	splitting: true,
	// Source maps would be two thirds of the package.
	sourcemap: false,
	clean: true,
	esbuildPlugins: [fewFiles],
}

/**
 * Two builds: ES modules, with the program, in dist; CommonJS in dist/cjs, for projects that cannot `require()` the other one. Its declarations
 * come from `scripts/commonjs-types.mjs`.
 */
export default defineConfig([
	{
		...common,
		entry: [...LIBRARY, 'src/cli/main.ts'],
		format: ['esm'],
		dts: { entry: LIBRARY },
		clean: ['dist/*', '!dist/cjs'],
		async onSuccess() {
			// So that `npx mesh-chain` runs this build in a clone; without it npx would install and build the folder once more.
			if (process.platform === 'win32') return
			chmodSync(PROGRAM, 0o755)
			mkdirSync('node_modules/.bin', { recursive: true })
			rmSync(LINK, { force: true })
			symlinkSync(`../../${PROGRAM}`, LINK)
		},
	},
	{
		...common,
		entry: LIBRARY,
		outDir: 'dist/cjs',
		format: ['cjs'],
		// An ES module alone: `require` of it needs a newer Node than ours.
		noExternal: ['p-limit'],
		// import.meta.url
		shims: true,
	},
])
