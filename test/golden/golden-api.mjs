/** The API that creates the golden files: the public names, and the one record that a user cannot publish. */
export { FileChainAppender, MeshLoop, nodeFileSystem, repairChain } from 'mesh-chain'
export { Recorder } from 'mesh-chain/recorder'

/** Returns a gap of `count` records before the next record. */
export function gapRecordForGoldens({ nextSeq, epoch }, count) {
	const toSeq = nextSeq + count - 1
	return {
		seq: toSeq,
		epoch,
		tsMs: 1,
		level: 'warn',
		kind: '$gap',
		message: `${count} records absent (seq ${nextSeq} to ${toSeq}): evicted`,
		data: { fromSeq: nextSeq, toSeq, count, cause: 'evicted' },
		daemonId: null,
		nodeId: null,
		chainPending: false,
	}
}
