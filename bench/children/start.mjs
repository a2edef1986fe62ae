/** Loads one library in a new process, which has loaded nothing else, and prints the time. */
import { createRequire } from 'node:module'

const { way } = JSON.parse(process.argv[2])
const require = createRequire(import.meta.url)
const ways = {
	import: () => import('../../dist/index.js'),
	require: () => require('../../dist/cjs/index.cjs'),
	pino: () => require('pino'),
}
const begun = performance.now()
await ways[way]()
process.stdout.write(JSON.stringify({ ms: performance.now() - begun }))
