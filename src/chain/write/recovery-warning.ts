/** Builds the warning about a chain that did not end cleanly. */
import { show } from '../../guard/show.ts'
import { counted } from '../../text/numbers.ts'
import { shellWord } from '../../text/shell-word.ts'
import type { ChainRecovery } from './opened-chain.ts'
import type { RecoveryVerdict } from './recovery.ts'

const TAKEN_OVER = 'was taken over from a writer that may still be running'

/** Descriptions of a file that is left unchanged, by verdict; undefined where no warning is needed. */
const TEXTS: Readonly<Record<RecoveryVerdict, string | undefined>> = {
	sealed: undefined,
	clean: TAKEN_OVER,
	torn: TAKEN_OVER,
	unsyncedTail: TAKEN_OVER,
	unsyncedHole: 'has holes left by a power loss',
	truncated: 'has lost bytes that were on disk',
	damaged: 'is damaged at its end',
	ambiguous: 'ends in unreadable bytes, and it is unknown whether a power loss or damage is the cause',
}

/** Returns a stable code and the text of the warning; undefined if no warning is needed. */
export function recoveryWarning(
	path: string,
	{ verdict, action, bytes, keptAt, sealedAs, lostRecords }: ChainRecovery,
): { readonly code: string; readonly text: string } | undefined {
	const name = show(path)
	if (action === 'cut') {
		const what =
			verdict === 'torn' ? 'a torn tail (normal after a crash)' : 'a write that a power loss cut short'
		const text = `${name} ended in ${bytes} bytes of ${what}; they were cut and saved to ${show(keptAt)}`
		return { code: 'TAIL_CUT', text }
	}
	const what = TEXTS[verdict]
	if (what === undefined) return undefined
	if (sealedAs === undefined) {
		const watermark = show(`${path}.durable`)
		const text =
			`${name} was removed, emptied or overwritten: ` +
			`${counted(lostRecords, 'record that was', 'records that were')} on disk ` +
			`${lostRecords === 1 ? 'is' : 'are'} lost, and the chain continues after them; ` +
			`next: mesh-chain verify ${shellWord(path)} (to start a new chain instead, ` +
			`also remove ${watermark})`
		return { code: 'CHAIN_DAMAGED', text }
	}
	const lost =
		lostRecords === 0 ? '' : `; ${counted(lostRecords, 'record is', 'records are')} known to be lost`
	const text =
		`${name} ${what}: the old file is unchanged at ${show(sealedAs)}, ` +
		`and the chain continues in a new file${lost}; next: mesh-chain verify ${shellWord(path)}`
	return { code: what === TAKEN_OVER ? 'CHAIN_TAKEN_OVER' : 'CHAIN_DAMAGED', text }
}
