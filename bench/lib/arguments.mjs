/** The command line of the benchmark. */
import { parseArgs } from 'node:util'

export const USAGE = `usage: npm run bench -- [--quick | --smoke] [--only NAME [--store]]
       npm run bench -- --draw

  --quick      small, in under a minute
  --smoke      each bench once, tiny, without the peers: shows that it runs, measures nothing
  --only NAME  the benches whose name contains NAME; writes no results
  --store      puts what --only measured, in full, into the stored results, in the place of what they had of it
  --draw       measures nothing: makes table and picture again from the stored figures
  --help       this text
`

/** @throws what `parseArgs` throws: an error whose message is for the user */
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
		throw new Error('--store goes with --only, and with neither --quick nor --smoke')
	const mode = values.quick ? 'quick' : values.smoke ? 'smoke' : 'full'
	const { only, store, draw, help } = values
	return { mode, only, store, draw, help }
}
