/** A NATS server for one test, on loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { freePort } from './free-port.ts'
import { requirePackage } from './system-packages.ts'

export interface NatsServer {
	readonly url: string
	readonly port: number
	readonly pid: number
	/** Kills the server, as a crash would. */
	kill(): Promise<void>
	/** Stops the server while its connections stay open. Returns when all of its threads have stopped. */
	freeze(): void
	thaw(): void
	stop(): Promise<void>
}

const START_MS_MAX = 20_000

export interface NatsServerOptions {
	/** Port of the server, for example that of a stopped one. Default: a free port. */
	readonly port?: number
	/** Folder of JetStream's store; without it, JetStream is off. */
	readonly storeDir?: string
	/** Additional arguments of the command line. */
	readonly args?: readonly string[]
}

export async function startNats({ port, storeDir, args = [] }: NatsServerOptions = {}): Promise<NatsServer> {
	requirePackage('nats-server')
	const own = port ?? (await freePort())
	const jetStream = storeDir === undefined ? [] : ['-js', '-sd', storeDir]
	const command = ['-a', '127.0.0.1', '-p', String(own), ...jetStream, ...args]
	const server = spawn('nats-server', command, { stdio: 'ignore' })
	const end = (signal: NodeJS.Signals) => endOf(server, signal)
	await accepting(server, own)
	return {
		url: `nats://127.0.0.1:${own}`,
		port: own,
		pid: server.pid!,
		kill: () => end('SIGKILL'),
		freeze: () => freeze(server.pid!),
		thaw: () => void server.kill('SIGCONT'),
		stop: () => end('SIGTERM'),
	}
}

async function endOf(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
	if (server.exitCode !== null || server.signalCode !== null) return
	const gone = once(server, 'exit')
	server.kill(signal)
	// A frozen server would not receive the signal.
	server.kill('SIGCONT')
	await gone
}

/** Freezes a process. Returns when all of its threads have stopped. */
export function freeze(pid: number): void {
	process.kill(pid, 'SIGSTOP')
	const stands = (thread: string) =>
		/^\d+ \(.*\) T /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1'))
	while (!readdirSync(`/proc/${pid}/task`).every(stands));
}

async function accepting(server: ChildProcess, port: number): Promise<void> {
	const deadline = Date.now() + START_MS_MAX
	while (!(await accepts(port))) {
		if (server.exitCode !== null || Date.now() > deadline) throw new Error('nats-server did not start')
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
		socket.once('connect', () => end(true)).once('error', () => end(false))
	})
}
