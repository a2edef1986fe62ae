import { defineConfig } from 'tsup'

/** One ESM build: CommonJS users `require()` it, which every supported Node can do. */
export default defineConfig({
	entry: ['src/index.ts', 'src/testing/index.ts', 'src/cli/main.ts'],
	format: ['esm'],
	target: 'node20',
	platform: 'node',
	dts: { entry: ['src/index.ts', 'src/testing/index.ts'] },
	splitting: true,
	sourcemap: true,
	clean: true,
})
