/**
 * Files that go away while the chain is verified, at every step of the verification. Whatever is removed and whenever, a head that was
 * kept elsewhere is `ok` only where everything below it was read and fits.
 */
import { expect, test } from 'vitest'
import { headText } from '../../src/chain/verify/head.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import type { FileSystem } from '../../src/file-system.ts'
import { CLOSED, Forge, type NamedFile } from '../oracle/format-oracle.mjs'
import { MemoryFileSystem } from '../support/memory-file-system.ts'

const PATH = '/c/node.chain'
const FILES = ['node-1.chain', 'node-41.chain', 'node-81.chain'] as const
const LAST_SEQ = 130
const REMOVED = [[0], [1], [2], [0, 1], [1, 2], [0, 1, 2]] as const

/** @param keptFrom what an anchor above the head says of retention; undefined for none. */
function forged(keptFrom: number | undefined, editedSeq = 0) {
	const forge = new Forge()
	let seq = 1
	for (const upTo of [40, 80, 120, LAST_SEQ]) {
		for (; seq <= upTo; seq++) {
			forge.frame([{ tsMs: 1.7e12 + seq, level: 2, message: `paid ${seq === editedSeq ? 9 : 1} EUR` }])
		}
		if (upTo < LAST_SEQ) forge.seal()
		else forge.anchor(CLOSED)
	}
	const chainId = Buffer.alloc(16, 7).toString('hex')
	const head = headText({ chainId, seq: LAST_SEQ, link: Buffer.from(forge.file.link).toString('hex') })
	if (keptFrom !== undefined) {
		forge.anchor(0, { epoch: 2, keptFrom })
		forge.anchor(CLOSED, { keptFrom })
	}
	return { head, files: forge.files() }
}

function diskWith(files: readonly NamedFile[]): MemoryFileSystem {
	const fs = new MemoryFileSystem()
	for (const { name, bytes } of files) fs.put(`/c/${name}`, bytes)
	return fs
}

const STEPS = ['open', 'read', 'fstat', 'openSync', 'readSync', 'readdirSync', 'statSync'] as const
const OTHERS = ['closeSync', 'fstatSync', 'realpathSync', 'readFileSync', 'lockSync', 'close'] as const

/** Calls `interfere` before step `at`; `steps` counts them. */
function interrupted(fs: MemoryFileSystem, at: number, interfere: () => void) {
	const count = { steps: 0 }
	const system: FileSystem = Object.create(fs)
	for (const name of STEPS) {
		const call = (fs[name] as (...args: unknown[]) => unknown).bind(fs)
		Object.defineProperty(system, name, {
			value: (...args: unknown[]) => {
				if (count.steps++ === at) interfere()
				return call(...args)
			},
		})
	}
	for (const name of OTHERS) {
		Object.defineProperty(system, name, { value: (fs[name] as (...args: unknown[]) => unknown).bind(fs) })
	}
	return { count, system }
}

function remove(fs: MemoryFileSystem, names: readonly string[]): void {
	for (const name of names) if (fs.paths.includes(`/c/${name}`)) fs.unlinkSync(`/c/${name}`)
}

for (const [what, keptFromSeq] of [
	['by nobody that the chain knows of', undefined],
	['by retention, as the chain says', 121],
] as const) {
	test(`files removed at each step of a verification, ${what}`, async () => {
		const { head, files } = forged(keptFromSeq)
		const edited = forged(keptFromSeq, 10).files[0]!
		for (const isEdited of [false, true]) {
			const found = isEdited ? [edited, ...files.slice(1)] : files
			for (const indexes of REMOVED) {
				const names = indexes.map((index) => FILES[index])
				let steps = 1
				for (let at = 0; at < steps; at++) {
					const fs = diskWith(found)
					const { count, system } = interrupted(fs, at, () => remove(fs, names))
					const { answer, findings } = await verifyChain(PATH, { fs: system, head })
					steps = count.steps
					const where = `${names.join(' and ')} removed at step ${at}${isEdited ? ', edited' : ''}`
					const isSeen = findings.some(({ message }) => message.includes('was removed while'))
					const allowed = ['not ok']
					if (keptFromSeq !== undefined) allowed.push('cannot be checked')
					if (!isEdited && !isSeen) allowed.push('ok')
					expect([where, answer, allowed.includes(answer)]).toEqual([where, answer, true])
					// Retention takes files from the head only: then nothing accuses anybody.
					const isRetention = keptFromSeq !== undefined && indexes[0] === 0
					if (isRetention && !isEdited) expect([where, answer]).not.toEqual([where, 'not ok'])
				}
				expect(steps).toBeGreaterThan(20)
			}
		}
	})
}

test('a repaired file that is removed before it is compared with its original', async () => {
	const { files } = forged(121)
	const hurt = Buffer.from(files[1]!.bytes)
	hurt[hurt.length - 400]! ^= 1
	const repaired = diskWith([files[0]!, { ...files[1]!, bytes: hurt }, ...files.slice(2)])
	await repairChain(PATH, { fs: repaired })
	let steps = 1
	for (let at = 0; at < steps; at++) {
		const fs = repaired.crashPoint('copy').afterKill()
		const { count, system } = interrupted(fs, at, () => remove(fs, FILES.slice(0, 2)))
		const { answer } = await verifyChain(PATH, { fs: system })
		steps = count.steps
		expect([at, answer]).not.toEqual([at, 'not ok'])
	}
})
