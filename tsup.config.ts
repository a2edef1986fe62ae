import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { defineConfig } from 'tsup'

const PROGRAM = 'dist/cli/main.js'
const LINK = 'node_modules/.bin/mesh-chain'

/** One ESM build: CommonJS users `require()` it, which every supported Node can do. */
export default defineConfig({
	entry: [
		'src/index.ts',
		'src/cluster/index.ts',
		'src/consume/index.ts',
		'src/journal/index.ts',
		'src/recorder/index.ts',
		'src/sources/index.ts',
		'src/testing/index.ts',
		'src/cli/main.ts',
	],
	format: ['esm'],
	target: 'node20',
	platform: 'node',
	dts: {
		entry: [
			'src/index.ts',
			'src/cluster/index.ts',
			'src/consume/index.ts',
			'src/journal/index.ts',
			'src/recorder/index.ts',
			'src/sources/index.ts',
			'src/testing/index.ts',
		],
	},
	splitting: true,
	// Source maps would be two thirds of the package.
	sourcemap: false,
	clean: true,
	async onSuccess() {
		// So that `npx mesh-chain` runs this build in a clone; without it npx would install and build the folder once more.
		if (process.platform === 'win32') return
		chmodSync(PROGRAM, 0o755)
		mkdirSync('node_modules/.bin', { recursive: true })
		rmSync(LINK, { force: true })
		symlinkSync(`../../${PROGRAM}`, LINK)
	},
})
