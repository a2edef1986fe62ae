/**
 * Runs the rounds of one work, contender after contender, each measurement in a fresh process: none inherits another's
 * compiled code, heap or open files. Each round begins with another contender, so that none always comes after the same one.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ratio, summary } from './statistics.mjs'
import { recordsOf } from './works.mjs'

const TURNS_BEFORE_KILL = 7

/** @param progress called with a text before each measurement */
export function measure(work, size, progress) {
	const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-bench-'))
	try {
		return measureIn(folder, work, size, progress)
	} finally {
		rmSync(folder, { recursive: true, force: true })
	}
}

function measureIn(folder, work, size, progress) {
	const records = recordsOf(work, size)
	const base = { turn: work.turn, records, warmUpRecords: size.warmUpRecords }
	const isRead = work.name.startsWith('read/')
	if (!isRead) checkPromises(folder, work, progress)
	const paths = isRead ? writeFiles(folder, work, base, progress) : new Map()
	const measured = new Map(work.contenders.map(({ name }) => [name, []]))
	for (let round = 0; round < size.rounds; round++) {
		for (const entry of rotated(work.contenders, round)) {
			progress(`${work.name}: round ${round + 1} of ${size.rounds}, ${entry.name}`)
			const own = emptyFolder(folder, 'round')
			const job = { ...base, ...entry, kind: isRead ? 'read' : 'append', folder: own }
			measured.get(entry.name).push(run({ ...job, path: paths.get(entry.contender) }))
		}
	}
	return {
		name: work.name,
		records,
		rounds: size.rounds,
		contenders: work.contenders.map(({ name }) => contenderResult(name, measured.get(name), records)),
		ratios: work.ratios
			.map((wanted) => ({ ...wanted, peers: wanted.peers.filter((peer) => measured.has(peer)) }))
			.filter(({ ours, peers }) => measured.has(ours) && peers.length > 0)
			.map((wanted) => ratio(wanted, measured)),
	}
}

/** Who cannot show that a killed process loses nothing once its turn has ended is not compared. */
function checkPromises(folder, work, progress) {
	for (const entry of work.contenders.filter(({ inMemory }) => !inMemory)) {
		progress(`${work.name}: killing ${entry.name}`)
		const records = work.turn * TURNS_BEFORE_KILL
		const path = join(emptyFolder(folder, 'killed'), 'file')
		const { signal, stderr } = spawnSync(
			...command({ ...entry, kind: 'killed', turn: work.turn, records, path }),
		)
		if (signal !== 'SIGKILL') throw new Error(`${entry.name} ended before it was killed: ${stderr}`)
		run({ ...entry, kind: 'check', records, path })
	}
}

/** What the readers read: written once, by the contender that the file belongs to. */
function writeFiles(folder, work, base, progress) {
	const paths = new Map()
	for (const contender of new Set(work.contenders.map((entry) => entry.contender))) {
		progress(`${work.name}: writing for ${contender}`)
		const job = { ...base, kind: 'append', contender, folder: emptyFolder(folder, contender) }
		paths.set(contender, run(job).path)
	}
	return paths
}

/** One measurement in its process. @throws when it fails, or when what it read back is not what it wrote */
function run(job) {
	const { status, stdout, stderr } = spawnSync(...command(job))
	if (status === 0) return JSON.parse(stdout)
	throw new Error(`${job.name ?? job.contender} failed:\n${stderr}`)
}

function command(job) {
	const args = ['--expose-gc', join(import.meta.dirname, 'child.mjs'), JSON.stringify(job)]
	return [process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }]
}

function emptyFolder(parent, name) {
	const folder = join(parent, name)
	rmSync(folder, { recursive: true, force: true })
	mkdirSync(folder)
	return folder
}

function rotated(list, by) {
	const at = by % list.length
	return [...list.slice(at), ...list.slice(0, at)]
}

function contenderResult(name, runs, records) {
	const result = { name, recordsPerSecond: summary(runs.map((run) => (records / run.elapsedMs) * 1000)) }
	if (runs[0].bytes === undefined) return result
	return {
		...result,
		bytesPerRecord: summary(runs.map((run) => run.bytes / records)).median,
		closeMs: summary(runs.map((run) => run.closeMs)).median,
	}
}
