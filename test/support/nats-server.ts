/** A real nats-server on the loopback device, started by a test and killed by its id. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { requirePackage } from './debian-package.ts'
import { start } from './process.ts'

/** A busy machine may take long. */
const START_MS = 20_000

export interface NatsServer {
	readonly url: string
	readonly port: number
	readonly pid: number
	/** SIGKILL; resolves when it is gone. */
	kill(): Promise<void>
	/** SIGTERM; resolves when it is gone. */
	stop(): Promise<void>
}

/** @param port to start it once more where it was. */
export async function startNats({ port }: { readonly port?: number } = {}): Promise<NatsServer> {
	requirePackage('nats-server', ['nats-server', '--version'])
	const at = port ?? (await freePort())
	const child = start('nats-server', ['-a', '127.0.0.1', '-p', String(at)])
	// Nobody reads what it says, and it must not wait for that.
	child.stdout!.resume()
	child.stderr!.resume()
	await listens(child, at)
	const end = async (signal: NodeJS.Signals) => {
		if (child.exitCode !== null || child.signalCode !== null) return
		const gone = once(child, 'exit')
		child.kill(signal)
		await gone
	}
	return {
		url: `nats://127.0.0.1:${at}`,
		port: at,
		pid: child.pid!,
		kill: () => end('SIGKILL'),
		stop: () => end('SIGTERM'),
	}
}

/** One that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
	const server = createServer().listen(0, '127.0.0.1')
	await once(server, 'listening')
	const { port } = server.address() as AddressInfo
	server.close()
	await once(server, 'close')
	return port
}

async function listens(child: ChildProcess, port: number): Promise<void> {
	const deadlineMs = performance.now() + START_MS
	while (!(await accepts(port))) {
		if (child.exitCode !== null) throw new Error(`nats-server ended with ${child.exitCode}`)
		if (performance.now() > deadlineMs) throw new Error(`nats-server does not listen after ${START_MS} ms`)
		await new Promise((resolve) => setTimeout(resolve, 20))
	}
}

function accepts(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(port, '127.0.0.1')
		const end = (isThere: boolean) => {
			socket.destroy()
			resolve(isThere)
		}
		socket.once('connect', () => end(true))
		socket.once('error', () => end(false))
	})
}
