/** Measures how long a new process takes to load the library, compared with loading pino. */
import { runChild } from '../lib/processes.mjs'
import { outcome, rounds } from '../lib/rounds.mjs'

const CONTENDERS = [
	{ name: "import 'mesh-chain'", way: 'import', contender: 'mesh-chain' },
	{ name: "require('mesh-chain')", way: 'require', contender: 'mesh-chain' },
	{ name: "require('pino')", way: 'pino', contender: 'pino' },
]

const CHECKS = [
	{ ours: "import 'mesh-chain'", peers: ["require('pino')"], what: 'time', figure: 'ms', atMost: 1.2 },
	{ ours: "require('mesh-chain')", peers: ["require('pino')"], what: 'time', figure: 'ms' },
]

const ROUNDS = { full: 21, quick: 5, smoke: 1 }

export const start = {
	name: 'start',
	contenders: CONTENDERS,
	run({ mode, takesPart }, _folder, progress) {
		const chosen = CONTENDERS.filter(({ contender }) => takesPart(contender))
		const measured = rounds(chosen, ROUNDS[mode], progress, (entry) => runChild('start', entry))
		return { records: 0, rounds: ROUNDS[mode], ...outcome(measured, CHECKS) }
	},
}
