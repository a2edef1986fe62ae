/**
 * Files are removed during a verification, at every step. Whatever is removed and whenever, a head stored
 * elsewhere is `ok` only if everything below it was read and fits.
 */
import { expect, test } from 'vitest'
import { formatHead } from '../../src/chain/verify/head.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import type { FileSystem } from '../../src/platform/file-system.ts'
import { CLOSED, Forge, type NamedFile } from '../oracle/format-oracle.mjs'
import { MemoryFileSystem } from '../support/memory-file-system.ts'

const PATH = '/c/node.chain'
const FILES = ['node-1.chain', 'node-41.chain', 'node-81.chain'] as const
const LAST_SEQ = 130
const REMOVED = [[0], [1], [2], [0, 1], [1, 2], [0, 1, 2]] as const

/** Position of an anchor that claims that retention removed everything before the last file. */
type Claim = 'nowhere' | 'above the head' | 'at the head'

function forged(claim: Claim, editedSeq = 0) {
	const keptFrom = 121
	const forge = new Forge()
	let seq = 1
	for (const upTo of [40, 80, 120, LAST_SEQ]) {
		for (; seq <= upTo; seq++) {
			forge.frame([{ tsMs: 1.7e12 + seq, level: 2, message: `paid ${seq === editedSeq ? 9 : 1} EUR` }])
		}
		if (upTo < LAST_SEQ) forge.seal()
		else forge.anchor(CLOSED, claim === 'at the head' ? { keptFrom } : {})
	}
	const chainId = Buffer.alloc(16, 7).toString('hex')
	const head = formatHead({ chainId, seq: LAST_SEQ, link: Buffer.from(forge.file.link).toString('hex') })
	if (claim === 'above the head') {
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

test.each<Claim>(['nowhere', 'above the head', 'at the head'])(
	'files removed at each step of a verification, with retention claimed %s',
	async (claim) => {
		const { head, files } = forged(claim)
		const edited = [forged(claim, 10).files[0]!, ...files.slice(1)]
		for (const isEdited of [false, true]) {
			for (const indexes of REMOVED) {
				// Files that retention removed before the head was stored may have been changed.
				if (isEdited && claim === 'at the head' && indexes[0] === 0) continue
				const names = indexes.map((index) => FILES[index])
				let steps = 1
				for (let at = 0; at < steps; at++) {
					const fs = diskWith(isEdited ? edited : files)
					const { count, system } = interrupted(fs, at, () => remove(fs, names))
					const { answer, findings } = await verifyChain(PATH, { fs: system, head })
					steps = count.steps
					const where = `${names.join(' and ')} removed at step ${at}${isEdited ? ', edited' : ''}`
					const isSeen = findings.some(({ message }) => message.includes('was removed during'))
					const allowed = ['not ok']
					if (claim !== 'nowhere') allowed.push('cannot be checked')
					if (!isEdited && !isSeen) allowed.push('ok')
					expect([where, answer, allowed.includes(answer)]).toEqual([where, answer, true])
					// Retention only removes files from the beginning, and then no finding accuses anyone.
					if (claim === 'nowhere' || indexes[0] !== 0 || isEdited) continue
					expect([where, answer]).not.toEqual([where, 'not ok'])
				}
				expect(steps).toBeGreaterThan(20)
			}
		}
	},
)

test('a repaired file removed before the comparison with its original', async () => {
	const { files } = forged('above the head')
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
