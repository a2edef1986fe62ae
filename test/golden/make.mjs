/**
 * Creates the golden files of version 1. They are kept forever: a change of the format adds new files in a
 * separate folder, and the old files must stay readable. Creates only missing files: `npm run build && node
 * test/golden/make.mjs`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
	FileChainAppender,
	gapRecordForGoldens,
	MeshLoop,
	nodeFileSystem,
	Recorder,
	repairChain,
} from './golden-api.mjs'

const FOLDER = join(import.meta.dirname, 'v1')
const BOOT_ID = '00112233-4455-4677-8899-aabbccddeeff'
let nowMs = Date.UTC(2026, 0, 1)
const clock = () => ++nowMs
let failing = false
const fs = {
	...nodeFileSystem,
	readFileSync: (path) =>
		path.endsWith('/boot_id') ? Buffer.from(BOOT_ID) : nodeFileSystem.readFileSync(path),
	fdatasync: (fd) =>
		failing
			? Promise.reject(Object.assign(new Error('forced'), { code: 'EIO' }))
			: nodeFileSystem.fdatasync(fd),
}
const options = { clock, fs }
const turn = () => new Promise((resolve) => setImmediate(resolve))

async function chain(path, count, extra = {}, each = async () => {}) {
	const appender = new FileChainAppender(path, { ...options, ...extra })
	const loop = new MeshLoop(appender, { clock, nodeId: 'golden' })
	for (let index = 0; index < count; index++) {
		const level = ['trace', 'debug', 'info', 'warn', 'error'][index % 5]
		loop.publish({
			level,
			kind: index % 7 === 0 ? 'order.created' : 'log',
			message: `message ${index}`,
			data: { index },
		})
		loop.flush()
		if (index % 5 === 4) await loop.sync().catch(() => {})
		await turn()
		await each(index, loop, appender)
	}
	return loop
}

const close = (loop) => loop.close()

const GOLDENS = {
	async empty(path) {
		await close(await chain(path, 0))
	},
	async 'own-kinds'(path) {
		let recorder
		const loop = await chain(path, 300, {}, async (index, loop) => {
			if (index === 0) {
				recorder = new Recorder(loop)
				recorder.start('golden')
			}
			if (index % 140 === 70) recorder.checkpoint({ index }, { id: `at-${index}` })
			loop.publish({ kind: 'filler', message: 'a line of some length '.repeat(40) })
		})
		recorder.stop()
		await close(loop)
	},
	async types(path) {
		const loop = await chain(path, 0)
		const values = [
			null,
			true,
			-1,
			0,
			127,
			128,
			255,
			256,
			65535,
			65536,
			4294967295,
			4294967296,
			-32,
			-33,
			-129,
			-32769,
			1.5,
			NaN,
			Infinity,
			'',
			'ascii',
			'ünïcödé',
			'😀',
			'x'.repeat(300),
			5n,
			-5n,
			2n ** 63n,
			2n ** 70n,
			Uint8Array.of(0, 255),
			new Date(0),
			new Date(1.7e12),
			[1, [2, [3]]],
			{ a: { b: [] } },
			new Map([['k', 1]]),
			new Map([[1, 2]]),
			new Set([1]),
			{ $bigint: 'no' },
			undefined,
		]
		for (const [index, value] of values.entries()) loop.info(`value ${index}`, value)
		loop.info('no data')
		for (const id of [1, 1n, 'one', null]) loop.info('ids', {}, { daemonId: id, nodeId: id })
		loop.publish({ message: 'from elsewhere', origin: { chainId: 'a'.repeat(32), epoch: 3, seq: 9 } })
		loop.publish({ message: 'before 1970 is 0', tsMs: -5 })
		await close(loop)
	},
	async openings(path) {
		for (let epoch = 0; epoch < 3; epoch++) await close(await chain(path, 20))
		const appender = new FileChainAppender(path, options)
		appender.append(gapRecordForGoldens(appender, 4))
		await appender.close()
	},
	async spans(path) {
		await close(await chain(path, 0))
		const loop = await chain(path, 0)
		for (let index = 0; index < 3000; index++) {
			loop.info(`message ${index} ${'y'.repeat(60)}`)
			if (index % 100 === 0) loop.flush()
		}
		await close(loop)
	},
	async torn(path) {
		await close(await chain(path, 12))
		const bytes = readFileSync(path)
		writeFileSync(path, bytes.subarray(0, bytes.length - 300))
		rmSync(`${path}.durable`)
	},
	async rotated(path) {
		await close(await chain(path, 60, { rotateRecords: 15 }))
	},
	async retained(path) {
		await close(await chain(path, 90, { rotateRecords: 15, retain: { records: 40 } }))
	},
	async moved(path) {
		const loop = await chain(path, 40, {}, async (index) => {
			failing = index >= 22 && index < 25
		})
		await close(loop)
	},
	async damaged(path) {
		await close(await chain(path, 60))
		const bytes = readFileSync(path)
		writeFileSync(path, bytes.fill(0xc1, 1500, 1600))
	},
	async repaired(path) {
		await close(await chain(path, 60, { rotateRecords: 25 }))
		const bytes = readFileSync(path)
		writeFileSync(path, bytes.fill(0xc1, 500, 600))
		const { actions } = await repairChain(path, { fs })
		for (const { keptAt } of actions) rmSync(keptAt)
	},
}

GOLDENS['repaired-sealed'] = async (path) => {
	await close(await chain(path, 60, { rotateRecords: 25 }))
	const sealed = path.replace('node.chain', 'node-1.chain')
	const bytes = readFileSync(sealed)
	writeFileSync(sealed, bytes.fill(0xc1, 500, 600))
	const { actions } = await repairChain(path, { fs })
	for (const { keptAt } of actions) rmSync(keptAt)
}

/** The current output of the CLI is the expected output of every later version. */
function keepExpected(folder) {
	const run = (...args) => spawnSync('node', ['dist/cli/main.js', ...args], { encoding: 'utf8' }).stdout
	const path = join(folder, 'node.chain')
	writeFileSync(join(folder, 'expected.ndjson'), run('dump', path, '-o', 'ndjson'))
	const { ok, records, findings } = JSON.parse(run('verify', path, '-o', 'json'))
	const kinds = findings.map(({ kind, severity, fromSeq, toSeq }) => ({ kind, severity, fromSeq, toSeq }))
	writeFileSync(
		join(folder, 'expected.json'),
		`${JSON.stringify({ ok, records, findings: kinds }, null, '\t')}\n`,
	)
}

for (const [name, make] of Object.entries(GOLDENS)) {
	const folder = join(FOLDER, name)
	if (existsSync(folder)) continue
	mkdirSync(folder, { recursive: true })
	await make(join(folder, 'node.chain'))
	keepExpected(folder)
	console.log(name)
}
