/** Records stdin: the output of the program that precedes `mesh-chain record` in a pipeline. */
import { Interruption, interruptedStatus, STATUS } from '../exit-status.ts'
import { joined, printed } from '../printable.ts'
import type { LineRecorder } from '../record.ts'
import type { Terminal } from '../terminal.ts'
import { Passing } from './passing.ts'
import { StreamRecording } from './stream-recording.ts'

/** Time after the first signal at which a message says what `record` waits for. */
const WAITING_MS = 1_000

/** What is recorded, and where. */
export interface InputJob {
	readonly file: string
	readonly recorder: LineRecorder
	readonly isQuiet: boolean
}

/** Records stdin and resolves to the exit status. */
export async function recordInput(
	{ file, recorder, isQuiet }: InputJob,
	terminal: Terminal,
): Promise<number> {
	const stop = new AbortController()
	const passing = new Passing(isQuiet ? undefined : terminal.stdout)
	const recording = new StreamRecording(terminal.stdin, recorder, passing, stop.signal)
	const restore = handleSignals(file, recording, stop, terminal)
	let isStopped = true
	try {
		isStopped = (await recording.run()) === 'stopped'
	} finally {
		await recorder.close()
	}
	passing.pass(recorder.takeRecorded())
	await passing.finish(stop.signal)
	restore()
	const texts = [
		recorder.summary(),
		passing.unpassedText(),
		isStopped ? 'a second signal ended the recording before the input ended' : '',
	].filter(Boolean)
	if (terminal.stderrIsTerminal || recorder.isOdd || texts.length > 1)
		terminal.stderr.write(printed`mesh-chain: ${file}: ${joined(texts, printed`; `)}\n`)
	if (passing.failure !== undefined) throw passing.failure
	return isStopped ? interruptedStatus(stop.signal) : STATUS.ok
}

/**
 * Handles signals. Ctrl-C and a stopped unit of systemd reach every process in the pipeline, so the program
 * may still print its last lines: only the second SIGINT or SIGTERM ends the recording. A closed terminal
 * can send several SIGHUPs, so SIGHUP never ends it.
 */
function handleSignals(
	file: string,
	recording: StreamRecording,
	stop: AbortController,
	terminal: Terminal,
): () => void {
	let waiting: NodeJS.Timeout | undefined
	const restore = terminal.onSignals(['SIGHUP', 'SIGINT', 'SIGTERM'], (signal) => {
		recording.hurry()
		if (signal === 'SIGHUP') return
		if (waiting === undefined) {
			waiting = setTimeout(() => {
				const what = 'waiting for the end of the input; the next signal ends the recording'
				terminal.stderr.write(printed`mesh-chain: ${file}: ${signal}: ${what}\n`)
			}, WAITING_MS)
			return
		}
		end()
		stop.abort(new Interruption(signal))
	})
	const end = () => {
		clearTimeout(waiting)
		restore()
	}
	return end
}
