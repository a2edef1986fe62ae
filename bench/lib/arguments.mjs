/** The command line of the benchmark. */
import { parseArgs } from 'node:util'

export const USAGE = `usage: npm run bench -- [--quick | --smoke] [--only NAME [--store]]
       npm run bench -- --draw

  --quick      run a small benchmark of less than a minute
  --smoke      run each bench once at minimal size without peers, to check that it works
  --only NAME  run only the benches whose name contains NAME; store no results
  --store      with --only at full size: replace the stored results of these benches
  --draw       redraw the table and the picture from the stored figures
  --help       print this text
`

/** @throws The errors from `parseArgs`, whose messages are meant for the user. */
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
	if (values.quick && values.smoke) throw new Error('--quick and --smoke cannot be used together')
	if (values.store && (values.only === undefined || values.quick || values.smoke))
		throw new Error('--store requires --only and cannot be used with --quick or --smoke')
	const mode = values.quick ? 'quick' : values.smoke ? 'smoke' : 'full'
	const { only, store, draw, help } = values
	return { mode, only, store, draw, help }
}
