/** A NATS server with JetStream, and a connection to it, for all tests of a file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node'
import { afterAll, beforeAll } from 'vitest'
import { type NatsServer, startNats } from './nats-server.ts'

export interface NatsForFileOptions {
	/** Additional lines of the server's configuration. */
	readonly config?: string
	/** Credentials of the tests' own connection. */
	readonly as?: Pick<ConnectionOptions, 'user' | 'pass'>
}

/** A server that runs from the first test to the last. */
export class NatsForFile {
	#server: NatsServer | undefined
	#connection: NatsConnection | undefined
	#manager: JetStreamManager | undefined

	constructor({ config = '', as = {} }: NatsForFileOptions) {
		const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-nats-'))
		beforeAll(async () => {
			const file = join(folder, 'server.conf')
			writeFileSync(file, config)
			this.#server = await startNats({ storeDir: join(folder, 'store'), args: ['-c', file] })
			this.#connection = await connect({ servers: this.url, ...as })
			this.#manager = await jetstreamManager(this.#connection)
		}, 60_000)
		afterAll(async () => {
			await this.#connection?.close()
			await this.#server?.stop()
			rmSync(folder, { recursive: true, force: true })
		})
	}

	get url(): string {
		return this.#server!.url
	}

	get port(): number {
		return this.#server!.port
	}

	/** JetStream client that publishes. */
	get client(): JetStreamClient {
		return jetstream(this.#connection!)
	}

	get manager(): JetStreamManager {
		return this.#manager!
	}

	freeze(): void {
		this.#server!.freeze()
	}

	thaw(): void {
		this.#server!.thaw()
	}
}

/** Registers the server's hooks. Must be called at the level of the file's tests. */
export function natsForFile(options: NatsForFileOptions = {}): NatsForFile {
	return new NatsForFile(options)
}
