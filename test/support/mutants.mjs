/**
 * `npm run test:mutants`: takes one safety after the other away, in a copy of the project, builds it, and asks whether a test fails. A mutant that
 * survives is a safety that nobody would miss.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** What is taken away: the text in a file, what stands there instead, and the tests that must miss it. */
const MUTANTS = [
	{
		name: 'the checksum of frames is not looked at',
		file: 'src/chain/format/frame.ts',
		from: 'if (bytes.readUInt32BE(pos + 7) !== checksum(bytes, pos + 11, pos + length, seed)) return undefined',
		to: 'if (seed < 0) return undefined',
		tests: ['test/model/damaged-file.test.ts'],
	},
	{
		name: 'checksums know nothing of the file they are in',
		file: 'src/chain/format/checksum.ts',
		from: 'placeView.setUint32(0, segment)',
		to: 'placeView.setUint32(0, 0 * segment)',
		tests: ['test/model/damaged-file.test.ts', 'test/golden'],
	},
	{
		name: 'the link of an anchor is not compared',
		file: 'src/chain/verify/file-judge.ts',
		from: 'if (expected === found || this.#spanIsBroken) return',
		to: 'if (expected.length === found.length || this.#spanIsBroken) return',
		tests: ['test/model/damaged-file.test.ts'],
	},
	{
		name: 'the link from file to file is not compared',
		file: 'src/chain/verify/judge.ts',
		from: 'if (found === undefined || expected === undefined || found === expected || before.wasRepaired) return',
		to: 'if (found === undefined || expected === undefined || found !== undefined || before.wasRepaired) return',
		tests: ['test/model/damaged-file.test.ts'],
	},
	{
		name: 'an acknowledgement does not wait for the fdatasync',
		file: 'src/chain/write/segment-file.ts',
		from: 'await this.#context.system.fdatasync(this.fd)',
		to: 'await null',
		tests: ['test/model/power-loss.test.ts', 'test/model/failing-calls.test.ts'],
	},
	{
		name: 'a sealed file is not synced before the next one is begun',
		file: 'src/chain/write/next-file.ts',
		from: '\tlive.write()\n\tlive.syncNow()\n',
		to: '\tlive.write()\n',
		tests: ['test/model/power-loss.test.ts'],
	},
	{
		name: 'the directory is not synced between the two names',
		file: 'src/chain/files/names.ts',
		from: '\tsyncDirectory(system, dirname(chainPath))\n\tsystem.renameSync(temporary, chainPath)\n',
		to: '\tsystem.renameSync(temporary, chainPath)\n',
		tests: ['test/model/power-loss.test.ts'],
	},
	{
		name: 'the directory is not synced behind the new name',
		file: 'src/chain/files/names.ts',
		from: '\ttry {\n\t\tsyncDirectory(system, dirname(path))\n\t\treturn',
		to: '\ttry {\n\t\treturn',
		tests: ['test/model/power-loss.test.ts'],
	},
	{
		name: 'the count of a write is not looked at',
		file: 'src/file-system.ts',
		from: '\t\tdone += count\n\t}\n}\n\n/** Of Windows',
		to: '\t\tdone = end\n\t}\n}\n\n/** Of Windows',
		tests: ['test/model/failing-calls.test.ts', 'test/chain/failing-disk.test.ts'],
	},
	{
		name: 'a failed sync is tried again on the same file',
		file: 'src/chain/write/segment-file.ts',
		from: 'this.#poison ??= error instanceof Error ? error : new Error(messageOf(error))\n\t\treturn this.#poison',
		to: 'return error instanceof Error ? error : new Error(messageOf(error))',
		also: [
			{
				file: 'src/chain/write/writer.ts',
				from: 'this.#syncFailure = new MeshChainError(',
				to: 'const failure = new MeshChainError(',
			},
			{
				file: 'src/chain/write/writer.ts',
				from: '\t\t)\n\t\treturn this.#syncFailure\n',
				to: '\t\t)\n\t\treturn failure\n',
			},
		],
		tests: ['test/chain/failing-disk.test.ts', 'test/model/failing-calls.test.ts'],
	},
	{
		name: 'the lock is not asked for',
		file: 'src/file-system.ts',
		from: "return status === 1 ? 'held' : 'unavailable'",
		to: "return status === 1 ? 'taken' : 'unavailable'",
		tests: ['test/chain/lock.test.ts', 'test/crash/contenders.test.ts'],
	},
	{
		name: 'a file whose lock was taken away is written to again',
		file: 'src/chain/write/opening.ts',
		from: "return provenance === 'none' && isOver ? 'sole' : 'takenOver'",
		to: "return provenance === 'none' && isOver ? 'sole' : 'sole'",
		tests: ['test/chain/segments.test.ts'],
	},
	{
		name: 'a writer does not look whether its file is still its own',
		file: 'src/chain/write/writer.ts',
		from: 'if (stray === undefined) return',
		to: 'if (stray === undefined || stray !== undefined) return',
		tests: ['test/chain/segments.test.ts'],
	},
	{
		name: 'bytes with valid entries behind them are cut',
		file: 'src/chain/write/recovery.ts',
		from: "[{ hole: [true], mark: present, boot: ['same'] }, 'damaged'],",
		to: "[{ hole: [true], mark: present, boot: ['same'] }, 'torn'],",
		tests: ['test/chain/recovery.test.ts'],
	},
	{
		name: 'a suffix is cut although valid entries stand behind its beginning',
		file: 'src/chain/scan/scan.ts',
		from: 'if (found !== undefined) return this.#leaveBad(false)',
		to: 'if (found !== undefined && offset < 0) return this.#leaveBad(false)',
		prepare: [
			'const found = this.#entryAt(candidate)',
			'const offset = candidate\n\t\t\tconst found = this.#entryAt(candidate)',
		],
		tests: ['test/model/damaged-file.test.ts'],
	},
	{
		name: 'the watermark is not believed',
		file: 'src/chain/write/recovery.ts',
		from: "if (mark.seq >= nextSeq || mark.segment > segment) return 'missed'",
		to: "if (mark.seq >= nextSeq || mark.segment > segment) return 'reached'",
		tests: ['test/model/damaged-file.test.ts'],
	},
	{
		name: 'a torn tail is cut without being kept aside',
		file: 'src/chain/files/names.ts',
		from: '\tcopyTo(system, keptAt, fd, offset, bytes)\n',
		to: '',
		tests: ['test/chain/file-chain-appender.test.ts', 'test/chain/repair.test.ts'],
	},
	{
		name: 'a repair keeps nothing of what it changes',
		file: 'src/chain/verify/rebuild.ts',
		from: '\t\tsystem.linkSync(source.path, keptAt)\n',
		to: '',
		tests: ['test/chain/repair.test.ts'],
	},
	{
		name: 'files are removed before the chain says on disk that they are',
		file: 'src/chain/write/writer.ts',
		from: '\t\tspan.keptFromSeq = keptFromSeq\n',
		to: '',
		tests: ['test/chain/segments.test.ts'],
	},
	{
		name: 'an unhandled exit writes nothing',
		file: 'src/chain/write/file-chain-appender.ts',
		from: 'if (this.#closing === undefined) this.#lastWords()',
		to: 'if (this.#closing !== undefined) this.#lastWords()',
		tests: ['test/process/process-end.test.ts'],
	},
	{
		name: 'a repair does not look again once it has the lock',
		file: 'src/chain/verify/repair.ts',
		from: 'const plan = planFor((await verifyChain(path, verifyOptions)).findings)',
		to: 'const plan = { planned, left }',
		tests: ['test/chain/repair.test.ts'],
	},
	{
		name: 'a chain of its own is taken for a file of another one',
		file: 'src/chain/files/segments.ts',
		from: 'return identity.firstSeq === firstSeqIn(path) ? {',
		to: 'return identity.firstSeq > 0 ? {',
		tests: ['test/chain/segments.test.ts'],
	},
	{
		name: 'a chain whose files are gone is taken for a new one',
		file: 'src/chain/write/opening.ts',
		from: 'return mark !== undefined && mark.seq > 0 ? mark : undefined',
		to: 'return mark !== undefined && mark.seq < 0 ? mark : undefined',
		tests: ['test/chain/file-chain-appender.test.ts'],
	},
	{
		name: 'a rotation syncs while another sync is under way',
		file: 'src/chain/write/file-chain-appender.ts',
		from: 'this.#isRotationDue(2) && !this.#writer.isSyncing',
		to: 'this.#isRotationDue(2)',
		tests: ['test/chain/failing-disk.test.ts'],
	},
	{
		name: 'a batch that fails half-way leaves its first half',
		file: 'src/chain/write/writer.ts',
		from: '\t\t\tspan.discardOpen()\n',
		to: '',
		tests: ['test/chain/file-chain-appender.test.ts'],
	},
	{
		name: 'sources: one that floods may take the whole queue',
		file: 'src/sources/sample-queue.ts',
		from: 'share.count < SHARE_FACTOR * (this.capacity - this.#count)',
		to: 'this.#count < this.capacity',
		tests: ['test/sources'],
	},
	{
		name: 'sources: a sample that gives way is not counted',
		file: 'src/sources/managed-source.ts',
		from: '\t\t\tthis.counts.dropped.overflow++\n\t\t\t// One',
		to: '\t\t\t// One',
		tests: ['test/sources'],
	},
	{
		name: 'sources: a failing appender gets samples all the same',
		file: 'src/sources/sample-writer.ts',
		from: 'if (appender.failing) return 0',
		to: 'if (appender.failing && this.#queue.count < 0) return 0',
		tests: ['test/sources', 'test/behaviours/channel-manager.test.ts'],
	},
	{
		name: 'sources: a clock years ahead shuts out what comes when it was set right',
		file: 'src/sources/sample-checks.ts',
		from: 'Math.min(tsMs, nowMs + SAMPLE_TIME_WINDOW_MS)',
		to: 'tsMs',
		tests: ['test/sources', 'test/behaviours/channel-manager.test.ts'],
	},
	{
		name: 'sources: an idle one ages out of the registry',
		file: 'src/sources/registry.ts',
		from: 'if (seq > oldest) break',
		to: 'if (seq > oldest || oldest > 0) break',
		tests: ['test/sources/registry.test.ts'],
	},
	{
		name: 'sources: damage to a newest record hides the older ones',
		file: 'src/sources/registry.ts',
		from: 'contents.missing === 0 || fromSeq === 1',
		to: 'contents.missing >= 0 || fromSeq === 1',
		tests: ['test/sources/registry.test.ts'],
	},
	{
		name: 'sources: a process that exits leaves its queue behind',
		file: 'src/sources/source-manager.ts',
		from: '\t\tthis.#writer.drain()\n',
		to: '',
		tests: ['test/process/sources-exit.test.ts'],
	},
	{
		name: 'sources: policies by their order alone',
		file: 'src/sources/policies.ts',
		from: 'this.#exact.get(name) ??',
		to: 'undefined ??',
		tests: ['test/sources', 'test/behaviours/channel-manager.test.ts'],
	},
	{
		name: 'journal: a checksum that depends on the order of the rows',
		file: 'src/journal/result-checksum.ts',
		from: 'this.#sum[part]! + digest.readUInt32LE(4 * part) + carry',
		to: 'this.#sum[part]! * 3 + digest.readUInt32LE(4 * part) + carry',
		tests: ['test/journal/journal-pg.test.ts'],
	},
	{
		name: 'journal: a chained transaction is taken for one with its successor',
		file: 'src/journal/pg-session.ts',
		from: 'status === IDLE || flight.isChained',
		to: 'status === IDLE',
		tests: ['test/journal/journal-pg.test.ts'],
	},
	{
		name: 'cluster: a message expects none before it',
		file: 'src/cluster/publisher.ts',
		from: '{ streamName, lastSubjectSequence: this.#expectSeq }',
		to: '{ streamName }',
		tests: ['test/cluster/exactly-once.test.ts'],
	},
	{
		name: 'cluster: an id that is remembered passes for stored',
		file: 'src/cluster/publisher.ts',
		from: 'if (await this.#put(message, { msgID: message.id })) await this.#put(message)',
		to: 'await this.#put(message, { msgID: message.id })',
		tests: ['test/cluster/exactly-once.test.ts'],
	},
	{
		name: 'cluster: no fence goes before the first message',
		file: 'src/cluster/publisher.ts',
		from: 'if (!this.#needsFence) return',
		to: 'return',
		tests: ['test/cluster/fences.test.ts'],
	},
	{
		name: 'cluster: nobody looks what came before a fence',
		file: 'src/cluster/publisher.ts',
		from: 'if (message === undefined || !isFence(message)) throw new SentElsewhere()',
		to: 'if (message === undefined) throw new SentElsewhere()',
		tests: ['test/cluster/fences.test.ts'],
	},
	{
		name: 'cluster: a fence passes for a message',
		file: 'src/cluster/message.ts',
		from: 'return data.length === 0',
		to: 'return data.length < 0',
		tests: ['test/cluster/fences.test.ts'],
	},
	{
		name: 'cluster: what was forwarded is not asked for',
		file: 'src/cluster/forward.ts',
		from: 'const cursor = last ?? this.#acknowledged ?? file.found ?? NOTHING',
		to: 'const cursor = this.#acknowledged ?? file.found ?? NOTHING',
		tests: ['test/cluster/exactly-once.test.ts'],
	},
	{
		name: 'cluster: somebody who waits is kept waiting',
		file: 'src/cluster/forward.ts',
		from: '\t\t\tthis.#hurry?.()\n',
		to: '',
		tests: ['test/cluster/forward.test.ts'],
	},
	{
		name: 'cluster: a hole in a file is no gap in the stream',
		file: 'src/chain/read/frames.ts',
		from: 'return frame.baseSeq + frame.rows > this.#query.fromSeq ? [...before, { frame }] : before',
		to: 'return before.length < 9 ? [{ frame }] : before',
		tests: ['test/cluster'],
	},
	{
		name: 'cluster: a frame of another chain passes for one of this',
		file: 'src/cluster/message.ts',
		from: "const idChecksum = identityChecksum(Buffer.from(chainId, 'hex'), 0)\n\tconst frames",
		to: 'const idChecksum = identityChecksum(Buffer.from(bytes.subarray(0, 0)), 0)\n\tconst frames',
		tests: ['test/cluster/forward.test.ts'],
	},
	{
		name: 'cluster: a file that somebody wrote into is pulled into',
		file: 'src/cluster/pull-chain.ts',
		from: 'if (isSame) return',
		to: 'if (isSame || own !== undefined) return',
		tests: ['test/cluster/pull.test.ts'],
	},
	{
		name: 'cluster: what acknowledged records of a lost stream were is not told',
		file: 'src/cluster/jetstream-appender.ts',
		from: 'next !== undefined && last.seq < this.#committedSeq)',
		to: 'next !== undefined && last.seq < 0)',
		tests: ['test/cluster/jetstream-appender.test.ts'],
	},
	{
		name: 'cluster: tls:// takes a server without TLS',
		file: 'src/cluster/connection.ts',
		from: '...(servers.some(isTls) ? { tls: resolved.tls ?? {} } : {}),',
		to: '',
		tests: [
			'test/cluster/access.test.ts',
			'test/cluster/open-stream.test.ts',
			'test/process/cluster.test.ts',
		],
	},
	{
		name: 'sums over rows know only the newest time',
		file: 'src/codec/row-decoder.ts',
		from: 'if (dTs < dTsMin) dTsMin = dTs',
		to: 'dTsMin = dTs',
		tests: ['test/codec/row-encoder.test.ts'],
	},
]

const wanted = process.argv.slice(2)
const copy = mkdtempSync(join(tmpdir(), 'mesh-chain-mutants-'))
let survived = 0
let lastOutput = ''
try {
	const files = spawnSync('git', ['ls-files', '-co', '--exclude-standard'], {
		cwd: ROOT,
		encoding: 'utf8',
	}).stdout
	for (const file of files.split('\n').filter((name) => name !== '' && !name.startsWith('bench/'))) {
		cpSync(join(ROOT, file), join(copy, file), { recursive: true })
	}
	symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
	// Whatever fails must fail because of the mutant.
	const tests = [...new Set(MUTANTS.flatMap((mutant) => mutant.tests))]
	const control = { file: 'package.json', from: '"type": "module"', to: '"type": "module"', tests }
	if (wanted.length === 0 && tryMutant(control) !== 'SURVIVED')
		throw new Error(`these tests fail without any mutant:\n${lastOutput}`)
	for (const mutant of MUTANTS) {
		if (wanted.length > 0 && !wanted.some((word) => mutant.name.includes(word))) continue
		const begun = Date.now()
		const outcome = tryMutant(mutant)
		if (outcome !== 'killed') survived++
		console.log(`${outcome.padEnd(9)} ${mutant.name} (${((Date.now() - begun) / 1000).toFixed(0)} s)`)
	}
} finally {
	rmSync(copy, { recursive: true, force: true })
}
console.log(survived === 0 ? 'every mutant was killed' : `${survived} mutants survived`)
process.exitCode = survived === 0 ? 0 : 1

function tryMutant({ tests, also = [], ...first }) {
	const originals = new Map()
	for (const { file, from, to, prepare = ['', ''] } of [first, ...also]) {
		const path = join(copy, file)
		const text = readFileSync(path, 'utf8')
		if (!originals.has(path)) originals.set(path, text)
		const prepared = text.replace(prepare[0], () => prepare[1])
		if (prepared.split(from).length !== 2) throw new Error(`${file} does not hold exactly once: ${from}`)
		writeFileSync(
			path,
			prepared.replace(from, () => to),
		)
	}
	try {
		const tsup = join('node_modules', 'tsup', 'dist', 'cli-default.js')
		if (spawnSync(process.execPath, [tsup, '--no-dts'], { cwd: copy }).status !== 0) return 'unbuilt'
		const vitest = join('node_modules', 'vitest', 'vitest.mjs')
		const args = [vitest, 'run', '--bail=1', '--testTimeout=60000', ...tests]
		const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: copy, timeout: 600_000 })
		lastOutput = `${stdout}\n${stderr}`.slice(-5000)
		return status === 0 ? 'SURVIVED' : 'killed'
	} finally {
		for (const [path, text] of originals) writeFileSync(path, text)
	}
}
