/** Runs a command of the program within the test; neither end is a terminal. */
import { PassThrough } from 'node:stream'
import { run } from '../../src/cli/run.ts'

/** @returns its exit status and its stdout. */
export async function runCommand(args: readonly string[]): Promise<{ status: number; text: string }> {
	const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), new PassThrough()]
	const pieces: Buffer[] = []
	stdout.on('data', (piece: Buffer) => pieces.push(piece))
	stderr.resume()
	const status = await run(args, {
		stdout,
		stderr,
		stdin,
		stdinIsTerminal: false,
		stdoutIsTerminal: false,
		stderrIsTerminal: false,
		env: {},
		now: () => 0,
		interrupted: () => new AbortController().signal,
		onSignals: () => () => {},
	})
	return { status, text: Buffer.concat(pieces).toString() }
}
