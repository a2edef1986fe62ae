/** The command line of the benchmark. */
import { parseArgs } from 'node:util'

export const USAGE = `usage: npm run bench -- [--quick | --smoke] [--only NAME]
       npm run bench -- --draw

  --quick      small, in under a minute
  --smoke      each bench once, tiny, without the peers: shows that it runs, measures nothing
  --only NAME  the benches whose name contains NAME; writes no results
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
			draw: { type: 'boolean', default: false },
			help: { type: 'boolean', default: false },
		},
	})
	if (values.quick && values.smoke) throw new Error('--quick and --smoke exclude each other')
	const mode = values.quick ? 'quick' : values.smoke ? 'smoke' : 'full'
	return { mode, only: values.only, draw: values.draw, help: values.help }
}
