/** A NATS server with JetStream for all tests of a file, and a connection to it of their own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node'
import { afterAll, beforeAll } from 'vitest'
import { type NatsServer, startNats } from './nats-server.ts'

export interface NatsForFileOptions {
	/** More of the server's configuration. */
	readonly config?: string
	/** Who the tests' own connection is. */
	readonly as?: Pick<ConnectionOptions, 'user' | 'pass'>
}

/** It is there when the first test begins, and gone after the last one. */
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

	/** Publishes. */
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

/** To be called where a file's tests are. */
export function natsForFile(options: NatsForFileOptions = {}): NatsForFile {
	return new NatsForFile(options)
}
