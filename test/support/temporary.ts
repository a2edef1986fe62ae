/** Creates a folder for each test, and removes it afterwards. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export function temporaryFolder(): string {
	const folder = realpathSync(mkdtempSync(join(tmpdir(), 'mesh-chain-')))
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
	return folder
}
