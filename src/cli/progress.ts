/** How far long work has come: one line on stderr, only where a person watches, and gone when the work is done. */
import type { Progress } from '../chain/verify/verify.ts'
import { shownPath } from './escape.ts'
import type { Terminal } from './terminal.ts'

const EVERY_MS = 100

export class ProgressLine {
	readonly #terminal: Terminal
	#shownAt: number
	#isShown = false

	constructor(terminal: Terminal) {
		this.#terminal = terminal
		this.#shownAt = terminal.now()
	}

	readonly show = ({ path, bytes, ofBytes }: Progress): void => {
		const now = this.#terminal.now()
		if (!this.#terminal.stderrIsTerminal || now - this.#shownAt < EVERY_MS) return
		this.#shownAt = now
		this.#isShown = true
		const percent = Math.floor((100 * bytes) / Math.max(1, ofBytes))
		this.#terminal.stderr.write(`\r\x1b[K${shownPath(path)} ${percent} %`)
	}

	end(): void {
		if (this.#isShown) this.#terminal.stderr.write('\r\x1b[K')
		this.#isShown = false
	}
}
