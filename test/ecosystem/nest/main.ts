import 'reflect-metadata'
import { Injectable, Module, type OnApplicationShutdown } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FileChainAppender, MeshLoop, openChain } from 'mesh-chain'
import { memoryUsage, SourceManager } from 'mesh-chain/sources'

type Events = { 'order.created': { id: number } }

@Injectable()
class Chain implements OnApplicationShutdown {
	readonly loop = new MeshLoop<Events>(new FileChainAppender('nest.chain'))
	readonly sources = new SourceManager(this.loop)

	async onApplicationShutdown(): Promise<void> {
		await this.sources.close()
		await this.loop.close()
	}
}

class Orders {
	constructor(private readonly chain: Chain) {}

	create(id: number): void {
		this.chain.loop.emit('order.created', { id })
	}
}

@Module({
	providers: [Chain, { provide: Orders, useFactory: (chain: Chain) => new Orders(chain), inject: [Chain] }],
})
class App {}

async function main(): Promise<void> {
	const app = await NestFactory.createApplicationContext(App, { logger: false })
	void memoryUsage
	app.get(Orders).create(17)
	await app.close()
	const chain = await openChain('nest.chain')
	for await (const { kind, data } of chain.records({ kind: 'order.created' }))
		console.log(kind, (data as { id: number }).id)
	console.log((await chain.info()).state)
	await chain.close()
}

void main()
