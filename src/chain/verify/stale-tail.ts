/**
 * Examines the part of a sealed file after the offset at which the next file took over. After a failed fsync,
 * the next file contains the same records. If a writer did not notice that another writer had taken over, the
 * records that it wrote there exist nowhere else.
 */
import { counted } from '../../text/numbers.ts'
import type { Frame } from '../format/frame.ts'
import type { ScanEntry } from '../scan/scan.ts'
import type { Findings } from './findings.ts'

export class StaleTail {
	readonly #path: string
	readonly #offset: number
	#bytes = 0
	#records = 0
	#range: { readonly fromSeq: number; readonly toSeq: number } | undefined
	#epoch: number | undefined

	constructor(path: string, offset: number) {
		this.#path = path
		this.#offset = offset
	}

	take(entry: ScanEntry): void {
		if (entry.type === 'bad') this.#bytes += entry.place.bytes
		if (entry.type !== 'frame') return
		const { epoch, baseSeq, rows, length } = entry.frame
		this.#epoch ??= epoch
		this.#bytes += length
		this.#records += rows
		this.#range = { fromSeq: this.#range?.fromSeq ?? baseSeq, toSeq: baseSeq + rows - 1 }
	}

	/**
	 * Reports the superseded end.
	 *
	 * @param next the first frame of the next file; undefined if that file has no frames.
	 */
	report(findings: Findings, next: Frame | undefined): void {
		const range = this.#range
		const place = { path: this.#path, offset: this.#offset, bytes: this.#bytes, range }
		if (range === undefined && this.#bytes > 0) {
			const message = 'bytes that are not part of the chain follow the end of this file'
			findings.add('stray', message, { ...place, severity: 'note' })
			return
		}
		if (range === undefined || (next?.epoch === this.#epoch && next?.baseSeq === range.fromSeq)) {
			const message =
				'everything from here on was written again to the next file, because a sync or a cut failed'
			findings.add('superseded', message, place)
			return
		}
		const message =
			`${counted(this.#records, 'record was', 'records were')} written here ` +
			'after another writer had taken over: the chain does not contain them'
		findings.add('stray', message, place)
	}
}
