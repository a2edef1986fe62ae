/**
 * Measures a node:http service that publishes two records per request, as autocannon sees it, compared with
 * the same service without logging. The service and autocannon are separate processes.
 */
import { emptyFolder, runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const WITHOUT = 'no logging'

/** `flushes` marks a service that answers only when its records have reached the kernel. */
const CONTENDERS = [
	{ name: WITHOUT, way: 'nothing', contender: 'mesh-chain' },
	{ name: 'mesh-chain', way: 'meshChain', contender: 'mesh-chain' },
	{ name: 'mesh-chain, flush per answer', way: 'meshChain', flushes: true, contender: 'mesh-chain' },
	{ name: 'pino flush', way: 'pinoFlush', contender: 'pino' },
	{ name: 'pino sync', way: 'pinoSync', contender: 'pino' },
]

function requests(ours, atLeast) {
	return { ours, peers: [WITHOUT], what: 'requests per second', figure: 'requestsPerSecond', atLeast }
}

const CHECKS = [
	requests('mesh-chain', 0.85),
	requests('mesh-chain, flush per answer', 0.6),
	requests('pino flush'),
	requests('pino sync'),
]

const SIZES = {
	full: { rounds: 5, warmUpMs: 3_000, ms: 8_000 },
	quick: { rounds: 1, warmUpMs: 500, ms: 1_000 },
	smoke: { rounds: 1, requests: 50 },
}

export const http = {
	name: 'http',
	contenders: CONTENDERS,
	run({ mode, takesPart }, folder, progress) {
		const { rounds: count, ...size } = SIZES[mode]
		const chosen = CONTENDERS.filter(({ contender }) => takesPart(contender))
		const measured = rounds(chosen, count, progress, (entry) =>
			runChild('http', { ...entry, ...size, folder: emptyFolder(folder, 'round') }),
		)
		const records = measured.get('mesh-chain').reduce((sum, run) => sum + run.records, 0)
		return { records, rounds: count, ...outcome(measured, CHECKS) }
	},
}
