/**
 * Starts the service of `http-service.mjs`, sends requests to it over 20 connections, and checks that its log
 * contains two records for each answer.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { join } from 'node:path'

const CONNECTIONS = 20

const job = JSON.parse(process.argv[2])
const service = fork(join(import.meta.dirname, 'http-service.mjs'), [JSON.stringify(job)])
const [{ port }] = await once(service, 'message')
const url = `http://127.0.0.1:${port}/api/orders/17`
const load = job.requests === undefined ? await byAutocannon() : await byHand(job.requests)
service.send('end')
const [{ answers, records }] = await once(service, 'message')
const expected = job.way === 'nothing' ? 0 : 2 * answers
if (records !== expected) throw new Error(`the log has ${records} records instead of ${expected}`)
process.stdout.write(`${JSON.stringify({ ...load, records })}\n`)

async function byAutocannon() {
	const { default: autocannon } = await import('autocannon')
	const cannon = (ms) => autocannon({ url, connections: CONNECTIONS, duration: ms / 1000, sampleInt: 250 })
	await cannon(job.warmUpMs)
	const before = await used()
	const { requests, latency, duration, errors, non2xx } = await cannon(job.ms)
	const after = await used()
	if (errors + non2xx > 0) throw new Error(`${errors} requests failed, and ${non2xx} have another status`)
	return {
		requestsPerSecond: requests.total / duration,
		p50Ms: latency.p50,
		p99Ms: latency.p99,
		cpuUsPerRequest: (after.cpuUs - before.cpuUs) / (after.answers - before.answers),
	}
}

/** Returns the processor time that the service has used, and the number of its answers. */
async function used() {
	service.send('used')
	const [answer] = await once(service, 'message')
	return answer
}

/** For a smoke run, which does not need the peers. */
async function byHand(count) {
	const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
	const start = performance.now()
	await Promise.all(Array.from({ length: count }, () => request(agent)))
	agent.destroy()
	return { requestsPerSecond: (count / (performance.now() - start)) * 1000 }
}

async function request(agent) {
	const [answer] = await once(get(url, { agent }), 'response')
	if (answer.statusCode !== 200) throw new Error(`the service answered ${answer.statusCode}`)
	answer.resume()
	await once(answer, 'end')
}
