/** Descriptor 1 as a pipe whose reader follows a test's script. */
import { type FileSystem, nodeFileSystem } from '../../src/platform/file-system.ts'

const PIPE_MODE = 0o010600
/** Descriptor of the second opening of the pipe. */
const OWN_FD = 999

export class FakePipe {
	/** Everything that the pipe has accepted. */
	text = ''
	/** Number of bytes that the pipe still accepts. */
	roomBytes = Number.POSITIVE_INFINITY
	/** Maximum number of bytes that one write accepts. */
	writeBytesMax = Number.POSITIVE_INFINITY
	/** Error code of every write. */
	refusal: string | undefined
	calls = 0
	isOpen = false
	readonly system: FileSystem

	constructor() {
		this.system = {
			...nodeFileSystem,
			fstatSync: (fd) => ({ ...nodeFileSystem.fstatSync(fd), mode: PIPE_MODE }) as never,
			openSync: () => {
				this.isOpen = true
				return OWN_FD
			},
			closeSync: () => {
				this.isOpen = false
			},
			writeSync: (fd, bytes, offset, length) => this.#write(fd, bytes, offset, length),
		}
	}

	/** The complete lines so far, as JSON. */
	get lines(): { readonly seq: number; readonly kind: string; readonly data?: never }[] {
		const complete = this.text.slice(0, this.text.lastIndexOf('\n') + 1)
		return complete
			.split('\n')
			.slice(0, -1)
			.map((line) => JSON.parse(line))
	}

	#write(fd: number, bytes: Uint8Array, offset: number, length: number): number {
		this.calls += 1
		if (fd !== OWN_FD) throw new Error('the shared descriptor was written')
		const count = Math.min(length, this.roomBytes, this.writeBytesMax)
		const code = this.refusal ?? (count === 0 ? 'EAGAIN' : undefined)
		if (code !== undefined) throw Object.assign(new Error(`${code}: refused`), { code })
		this.roomBytes -= count
		this.text += Buffer.from(bytes.subarray(offset, offset + count)).toString('latin1')
		return count
	}
}
