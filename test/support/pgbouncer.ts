/** Runs a PgBouncer in front of a test Postgres: in transaction mode, with a limited number of servers. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { PgConfig } from './databases.ts'
import { freePort } from './free-port.ts'
import { PGBOUNCER, requirePackage } from './system-packages.ts'
import { temporaryFolder } from './temporary.ts'

/** Starts PgBouncer; returns the configuration for a connection through it. */
export async function startPgBouncer(to: PgConfig, poolSize: number): Promise<PgConfig> {
	requirePackage('pgbouncer')
	const folder = temporaryFolder()
	// PgBouncer does not run as root, and its own user must be able to read this.
	chmodSync(folder, 0o755)
	const port = await freePort()
	const file = join(folder, 'pgbouncer.ini')
	writeFileSync(
		file,
		`[databases]
${to.database} = host=${to.host} port=${to.port} user=${to.user} password='${to.password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${poolSize}
`,
	)
	const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
	const child = spawn(PGBOUNCER, [...user, file], { stdio: ['ignore', 'ignore', 'pipe'] })
	let said = ''
	child.stderr.on('data', (text) => {
		said += text
	})
	const ended = once(child, 'exit')
	onTestFinished(async () => {
		child.kill('SIGKILL')
		await ended
	})
	while (!(await answers(port))) {
		if (child.exitCode !== null) throw new Error(`pgbouncer ended: ${said}`)
		await sleep(20)
	}
	return { ...to, port }
}

async function answers(port: number): Promise<boolean> {
	const socket = connect(port, '127.0.0.1')
	try {
		await once(socket, 'connect')
		return true
	} catch {
		return false
	} finally {
		socket.destroy()
	}
}
