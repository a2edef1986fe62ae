/**
 * Checks what an operator learns from `verify` alone: where the damage is, what kind it is, how much is lost,
 * and the next command.
 */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { forgeMessage } from '../support/forge.ts'
import { meshChain } from '../support/process.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

async function chainOf(count: number): Promise<string> {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	for (let seq = 1; seq <= count; seq++) {
		appender.append(record(seq, { message: `message ${seq} of the chain` }))
		appender.flush()
	}
	await appender.close()
	return path
}

test('damage is reported with position, kind, losses and a repair command that works', async () => {
	const path = await chainOf(50)
	const bytes = readFileSync(path)
	writeFileSync(path, bytes.fill(0xc1, 1000, 1010))
	const found = await meshChain(['verify', path])
	expect(found.status).toBe(3)
	const place = String.raw`\S+node\.chain at offset [\d,]+, [\d,]+ bytes, seq \d+ to \d+`
	const loss = String.raw`\d+ bytes cannot be read; 1 record is lost`
	expect(found.stdout).toMatch(new RegExp(String.raw`damage in ${place} \[damaged\]: ${loss}`))
	expect(found.stdout).toContain(`next: mesh-chain repair --dry-run ${path}`)
	const dry = await meshChain(['repair', '--dry-run', path])
	expect([dry.status, dry.stdout.includes('nothing was changed')]).toEqual([3, true])
	expect(dry.stdout).toContain(`next: mesh-chain repair ${path}`)
	expect(readFileSync(path)).toEqual(bytes)
	const repaired = await meshChain(['repair', path])
	expect(repaired.status).toBe(0)
	expect(repaired.stdout).toMatch(
		/rewrote .* 1 record is lost and covered by a gap; the original is kept at /,
	)
	const again = await meshChain(['repair', path, '-o', 'json'])
	expect(JSON.parse(again.stdout)).toMatchObject({ actions: [], ok: true, records: 49 })
	// The damage is gone. The explained loss is an answer of its own, the same from every command.
	const after = await meshChain(['verify', path])
	expect([after.status, after.stdout.includes(': ok, 1 record lost: 49 records')]).toEqual([0, true])
	for (const command of ['verify', 'info', 'dump', 'repair']) {
		expect([command, (await meshChain([command, path])).status]).toEqual([command, 0])
		expect([command, (await meshChain([command, path, '--strict'])).status]).toEqual([command, 3])
	}
	const json = JSON.parse((await meshChain(['verify', path, '-o', 'json'])).stdout)
	expect(json).toMatchObject({ ok: true, answer: 'ok, records lost', recordsLost: 1 })
	expect(JSON.parse((await meshChain(['info', path, '-o', 'json'])).stdout)).toMatchObject({
		answer: 'ok, records lost',
		recordsLost: 1,
	})
})

test('truncation is reported with what was on disk and, given a stored head, what is missing', async () => {
	const path = await chainOf(50)
	const head = (await meshChain(['info', '--head', path])).stdout.trim()
	expect(head).toMatch(/^[0-9a-f]{32}:50:[0-9a-f]{64}$/)
	expect((await meshChain(['verify', path, '--head', head])).status).toBe(0)
	truncateSync(path, 1500)
	const { status, stdout } = await meshChain(['verify', path, '--head', head])
	expect(status).toBe(3)
	const loss = String.raw`seq \d+ to 50 \[truncated\]: .*\d+ records are lost`
	const compared = String.raw`expected [\d]+ bytes, found 1500 bytes`
	expect(stdout).toMatch(new RegExp(`damage in .* ${loss}; ${compared}`))
	expect(stdout).toMatch(/damage in .* \[headMissing\]: the chain ends before the given head/)
	const wrong = await meshChain(['verify', path, '--head', 'nonsense'])
	expect([wrong.status, wrong.stderr.includes('INVALID_OPTION')]).toEqual([2, true])
})

test('an edited chain is reported as evidence, and no repair is offered', async () => {
	const path = await chainOf(50)
	writeFileSync(path, forgeMessage(readFileSync(path), 'message 7 of', 'massage 7 of'))
	const { status, stdout } = await meshChain(['verify', path])
	expect(status).toBe(3)
	expect(stdout).toMatch(/damage in .* \[brokenLink\]/)
	expect(stdout).toContain('this chain was changed')
	expect(stdout).not.toContain('next: mesh-chain repair')
	const repair = await meshChain(['repair', path])
	expect([repair.status, repair.stdout.includes('left as evidence')]).toEqual([3, true])
})
