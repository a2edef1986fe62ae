/**
 * Shows the progress of a long operation on one line of stderr. The line appears only on a terminal and is
 * removed at the end of the operation.
 */
import type { VerifyProgress } from '../chain/index.ts'
import { type Printable, printablePath, printed } from './printable.ts'
import type { Terminal } from './terminal.ts'

const INTERVAL_MS = 100

/** A line that is updated in place. */
export class StatusLine {
	readonly #terminal: Terminal
	#shownAt: number
	#isShown = false

	constructor(terminal: Terminal) {
		this.#terminal = terminal
		this.#shownAt = terminal.now()
	}

	show(text: Printable): void {
		const now = this.#terminal.now()
		if (!this.#terminal.stderrIsTerminal || now - this.#shownAt < INTERVAL_MS) return
		this.#shownAt = now
		this.#isShown = true
		this.#terminal.stderr.rewriteLine(text)
	}

	end(): void {
		if (this.#isShown) this.#terminal.stderr.clearLine()
		this.#isShown = false
	}
}

/** A status line for an operation of known size. */
export class ProgressLine {
	readonly #line: StatusLine

	constructor(terminal: Terminal) {
		this.#line = new StatusLine(terminal)
	}

	readonly show = ({ path, bytes, ofBytes }: VerifyProgress): void => {
		const percent = Math.floor((100 * bytes) / Math.max(1, ofBytes))
		this.#line.show(printed`${printablePath(path)} ${percent} %`)
	}

	end(): void {
		this.#line.end()
	}
}
