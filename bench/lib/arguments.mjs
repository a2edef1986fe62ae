/** The command line of the benchmark. */
import { parseArgs } from 'node:util'

export const USAGE = `usage: npm run bench -- [--quick | --smoke] [--only NAME [--store]]
       npm run bench -- --draw

  --quick      a small run of less than a minute
  --smoke      each bench once, tiny, without the peers: checks that it runs, measures nothing
  --only NAME  only the benches whose name contains NAME; writes no results
  --store      with --only, in full: replaces the stored results of these benches
  --draw       redraws table and picture from the stored figures, measures nothing
  --help       this text
`

/** @throws Errors of `parseArgs`, whose messages are for the user. */
export function readArguments(args) {
	const { values } = parseArgs({
		args,
		options: {
			quick: { type: 'boolean', default: false },
			smoke: { type: 'boolean', default: false },
			only: { type: 'string' },
			store: { type: 'boolean', default: false },
			draw: { type: 'boolean', default: false },
			help: { type: 'boolean', default: false },
		},
	})
	if (values.quick && values.smoke) throw new Error('--quick and --smoke exclude each other')
	if (values.store && (values.only === undefined || values.quick || values.smoke))
		throw new Error('--store requires --only, and excludes --quick and --smoke')
	const mode = values.quick ? 'quick' : values.smoke ? 'smoke' : 'full'
	const { only, store, draw, help } = values
	return { mode, only, store, draw, help }
}
