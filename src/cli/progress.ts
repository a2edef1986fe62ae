/** How far long work has come: one line on stderr, only where a person watches, and gone when the work is done. */
import type { Progress } from '../chain/verify/verify.ts'
import { shownPath } from './escape.ts'
import type { Terminal } from './terminal.ts'

const EVERY_MS = 100

/** One line that is written over and over. */
export class StatusLine {
	readonly #terminal: Terminal
	#shownAt: number
	#isShown = false

	constructor(terminal: Terminal) {
		this.#terminal = terminal
		this.#shownAt = terminal.now()
	}

	show(text: string): void {
		const now = this.#terminal.now()
		if (!this.#terminal.stderrIsTerminal || now - this.#shownAt < EVERY_MS) return
		this.#shownAt = now
		this.#isShown = true
		this.#terminal.stderr.write(`\r\x1b[K${text}`)
	}

	end(): void {
		if (this.#isShown) this.#terminal.stderr.write('\r\x1b[K')
		this.#isShown = false
	}
}

/** The same for work whose size is known. */
export class ProgressLine {
	readonly #line: StatusLine

	constructor(terminal: Terminal) {
		this.#line = new StatusLine(terminal)
	}

	readonly show = ({ path, bytes, ofBytes }: Progress): void => {
		this.#line.show(`${shownPath(path)} ${Math.floor((100 * bytes) / Math.max(1, ofBytes))} %`)
	}

	end(): void {
		this.#line.end()
	}
}
