/** Server answers about a stream that other programs create at the same moment. */
import { expect, test } from 'vitest'
import type { Cluster } from '../../src/cluster/connection.ts'
import { checkSettings, fitStream } from '../../src/cluster/stream.ts'

const SETTINGS = checkSettings('create', {})
const CONFIG = { retention: 'limits', max_msgs_per_subject: -1, max_msg_size: -1, subjects: ['mesh.*.*'] }
const LEADERLESS = { config: CONFIG, cluster: { name: 'mesh' } }
const LED = { config: CONFIG, cluster: { name: 'mesh', leader: 'server-1' } }

/** Returns the answers one after another, and repeats the last one. */
function clusterThatSays(answers: (object | Error)[], added: object | Error): Cluster {
	const streams = {
		info: async () => {
			const answer = answers.length > 1 ? answers.shift() : answers[0]
			if (answer instanceof Error) throw answer
			return answer
		},
		add: async () => {
			if (added instanceof Error) throw added
			return added
		},
	}
	return { manager: { streams }, refusal: () => undefined } as unknown as Cluster
}

const notThere = () => Object.assign(new Error('stream not found'), { code: 10_059 })
const noAnswer = () => Object.assign(new Error('timeout'), { name: 'TimeoutError' })

test('a stream without a leader is awaited', async () => {
	const cluster = clusterThatSays([LEADERLESS, LEADERLESS, LED], noAnswer())
	expect(await fitStream(cluster, 'mesh', 'mesh', SETTINGS)).toBe(LED)
})

test('a creation time that the leader returns only once is not used', async () => {
	const [of, own] = ['2026-11-29T19:12:43.457560981Z', '2026-11-29T19:12:43.467239046Z'].map((created) => ({
		...LED,
		created,
	}))
	const transient = clusterThatSays([own!, of!], noAnswer())
	expect(await fitStream(transient, 'mesh', 'mesh', SETTINGS)).toBe(of)
	const leaderless = clusterThatSays([LEADERLESS, own!, of!], noAnswer())
	expect(await fitStream(leaderless, 'mesh', 'mesh', SETTINGS)).toBe(of)
	const added = clusterThatSays([notThere(), of!], own!)
	expect(await fitStream(added, 'mesh', 'mesh', SETTINGS)).toBe(of)
})

test('a stream that another program creates at the same moment is used', async () => {
	for (const code of [10_058, 10_065]) {
		const refused = Object.assign(new Error('refused'), { code })
		const other = clusterThatSays([notThere(), LED], refused)
		expect(await fitStream(other, 'mesh', 'mesh', SETTINGS)).toBe(LED)
		const none = clusterThatSays([notThere()], refused)
		await expect(fitStream(none, 'mesh', 'mesh', SETTINGS)).rejects.toMatchObject({ code: 'STREAM_UNFIT' })
	}
})

test('a stream whose creation got no answer is found, and a missing one is reported', async () => {
	const made = clusterThatSays([notThere(), LED], noAnswer())
	expect(await fitStream(made, 'mesh', 'mesh', SETTINGS)).toBe(LED)
	const none = clusterThatSays([notThere()], noAnswer())
	await expect(fitStream(none, 'mesh', 'mesh', SETTINGS)).rejects.toMatchObject({
		code: 'CLUSTER_UNREACHABLE',
		message: 'the stream "mesh" does not answer: no answer in time',
	})
})
