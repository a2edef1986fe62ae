/** Builds the warning about a chain that did not end cleanly. */
import { show } from '../../guard/show.ts'
import { shellWord } from '../../text/shell-word.ts'
import type { ChainRecovery } from './opened-chain.ts'
import type { RecoveryVerdict } from './recovery.ts'

const TAKEN_OVER = 'was taken over from a writer that may still be running'

/** Phrases for a file that stays as it is; undefined where no warning is needed. */
const TEXTS: Readonly<Record<RecoveryVerdict, string | undefined>> = {
	sealed: undefined,
	clean: TAKEN_OVER,
	torn: TAKEN_OVER,
	unsyncedTail: TAKEN_OVER,
	unsyncedHole: 'has holes that a power loss left',
	truncated: 'is shorter than it was on disk',
	damaged: 'is damaged at its end',
	ambiguous: 'ends in bytes that a power loss or damage has left; it is unknown which',
}

/** Returns a stable code and a text; undefined if no warning is needed. */
export function recoveryWarning(
	path: string,
	{ verdict, action, bytes, keptAt, sealedAs, lostRecords }: ChainRecovery,
): { readonly code: string; readonly text: string } | undefined {
	const name = show(path)
	if (action === 'cut') {
		const what =
			verdict === 'torn' ? 'a torn tail, normal after a crash' : 'a write that a power loss cut short'
		const text = `${name} ended in ${bytes} bytes of ${what}: cut off, and kept at ${show(keptAt)}`
		return { code: 'TAIL_CUT', text }
	}
	const what = TEXTS[verdict]
	if (what === undefined) return undefined
	if (sealedAs === undefined) {
		const watermark = show(`${path}.durable`)
		const text =
			`${name} was removed, emptied or overwritten: ` +
			`${lostRecords} records that were on disk are lost, and the chain continues after them; ` +
			`next: mesh-chain verify ${shellWord(path)} (to begin a new chain instead, ` +
			`remove ${watermark} too)`
		return { code: 'CHAIN_DAMAGED', text }
	}
	const lost = lostRecords === 0 ? '' : `; ${lostRecords} records are known to be lost`
	const text =
		`${name} ${what}: it stays as it was at ${show(sealedAs)}, ` +
		`and the chain continues in a new file${lost}; next: mesh-chain verify ${shellWord(path)}`
	return { code: what === TAKEN_OVER ? 'CHAIN_TAKEN_OVER' : 'CHAIN_DAMAGED', text }
}
