/** A process that may not create functions from text writes and reads the same chains as any other. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT, run } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const FORBIDDEN = '--disallow-code-generation-from-strings'

/** Publishes records of three shapes, then prints the data of all records as read from the chain. */
const PROGRAM = `
	const { FileChainAppender, MeshLoop, openChain } = await import(process.argv[1])
	const path = process.argv[2]
	const loop = new MeshLoop(new FileChainAppender(path), { clock: () => 1e12 })
	const text = index => index % 10 === 0 ? 'größe' : 'r-' + index
	for (let index = 0; index < 2000; index++) {
		const user = { id: index, plan: 'pro' }
		loop.publish({ message: 'a', data: { requestId: text(index), status: 200, user } })
		const other = { list: [{ id: index }], at: new Date(index), ['k' + index]: 1 }
		if (index % 3 === 0) loop.publish({ message: 'b', data: other })
		if (index % 100 === 0) await new Promise(setImmediate)
	}
	await loop.close()
	const chain = await openChain(path)
	for await (const { message, data } of chain.records()) console.log(message, JSON.stringify(data))
	await chain.close()
`

test('a process that may not generate code writes and reads the same chains', async () => {
	const folder = temporaryFolder()
	const library = join(ROOT, 'dist', 'index.js')
	const outputs = []
	for (const flags of [[], [FORBIDDEN]]) {
		const path = join(folder, `${flags.length}.chain`)
		const args = [...flags, '--input-type=module', '--eval', PROGRAM, library, path]
		const { status, stdout, stderr } = await run(process.execPath, args)
		expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
		outputs.push(stdout)
	}
	expect(outputs[0]?.split('\n')).toHaveLength(2000 + 667 + 1)
	expect(outputs[1]).toBe(outputs[0])

	const refused = await run(process.execPath, [FORBIDDEN, '--eval', 'new Function("return 1")'])
	expect(refused.stderr).toContain('EvalError')
})
