const { BufferingAppender, MeshChainError, MeshLoop, openChain } = require('mesh-chain')
const { BlackBox } = require('mesh-chain/recorder')

test('what a service published is captured', () => {
	const appender = new BufferingAppender()
	const loop = new MeshLoop(appender)
	new BlackBox(loop)
	loop.emit('order.refused', { id: 7 }, { level: 'warn' })
	expect(appender.captured({ kind: 'order.refused' })[0].data).toEqual({ id: 7 })
})

test('errors are instances of the class that is exported', async () => {
	await expect(openChain('there-is-none.chain')).rejects.toBeInstanceOf(MeshChainError)
	await expect(openChain('there-is-none.chain')).rejects.toMatchObject({ code: 'CHAIN_NOT_FOUND' })
})
