/** Combines the info and the end of several chains. */
import { createHash } from 'node:crypto'
import { type ChainEndInfo, type ChainInfo, type ChainState, heaviestAnswer } from '../chain/index.ts'
import { LOG_LEVELS, type LogLevel } from '../model/record.ts'

/** Chain states, ordered by possible loss, least first. */
const STATES: readonly ChainState[] = ['closed', 'exited', 'crashed', 'open']

/**
 * Returns the combined info of several chains. The last seq is the total number of records and gaps. A record
 * that several chains contain is counted once for each chain. Epochs and segments are listed chain by chain.
 * The head is a hash over the heads of all chains.
 */
export function mergedInfo(path: string, chainId: string, infos: readonly ChainInfo[]): ChainInfo {
	const records = sum(infos.map((info) => info.records))
	const gaps = sum(infos.map((info) => info.gaps.count))
	const lastSeq = records + gaps
	const notChecked = infos.find((info) => info.notChecked !== undefined)?.notChecked
	const hash = createHash('sha256')
	for (const { head } of infos) hash.update(`${head.chainId} ${head.link}\n`)
	return {
		path,
		chainId,
		formatVersion: Math.max(...infos.map((info) => info.formatVersion)),
		createdMs: earliest(infos.map((info) => info.createdMs)),
		bytes: sum(infos.map((info) => info.bytes)),
		segments: infos.flatMap((info) => info.segments),
		records,
		firstSeq: lastSeq === 0 ? undefined : 1,
		lastSeq: lastSeq === 0 ? undefined : lastSeq,
		minTsMs: extreme(Math.min, infos, 'minTsMs'),
		maxTsMs: extreme(Math.max, infos, 'maxTsMs'),
		levels: Object.fromEntries(
			LOG_LEVELS.map((level) => [level, sum(infos.map((info) => info.levels[level]))]),
		) as Record<LogLevel, number>,
		gaps: {
			count: gaps,
			records: sum(infos.map((info) => info.gaps.records)),
			byCause: infos.reduce<Record<string, number>>((sums, { gaps }) => {
				for (const [cause, count] of Object.entries(gaps.byCause))
					sums[cause] = (Object.hasOwn(sums, cause) ? sums[cause]! : 0) + count
				return sums
			}, {}),
		},
		epochs: infos.flatMap((info) => info.epochs),
		state: worst(infos.map((info) => info.state)),
		exitCode: infos.find(({ exitCode }) => exitCode !== undefined)?.exitCode,
		holder: infos.find(({ holder }) => holder !== undefined)?.holder,
		tornBytes: sum(infos.map((info) => info.tornBytes)),
		damagedPlaces: sum(infos.map((info) => info.damagedPlaces)),
		damagedBytes: sum(infos.map((info) => info.damagedBytes)),
		answer: heaviestAnswer(infos.map(({ answer }) => answer)),
		recordsLost: sum(infos.map(({ recordsLost }) => recordsLost)),
		...(notChecked === undefined ? {} : { notChecked }),
		head: { chainId, segment: 0, epoch: 1, seq: lastSeq, offset: 0, link: hash.digest('hex') },
	}
}

/**
 * Returns the combined end of several chains: the state with the greatest possible loss, and the total number
 * of unreadable bytes.
 */
export function mergedEnd(ends: readonly ChainEndInfo[]): ChainEndInfo {
	return {
		state: worst(ends.map(({ state }) => state)),
		exitCode: ends.find(({ exitCode }) => exitCode !== undefined)?.exitCode,
		holder: ends.find(({ holder }) => holder !== undefined)?.holder,
		tornBytes: sum(ends.map(({ tornBytes }) => tornBytes)),
		damagedBytes: sum(ends.map(({ damagedBytes }) => damagedBytes)),
	}
}

function worst(states: readonly ChainState[]): ChainState {
	return states.reduce((a, b) => (STATES.indexOf(b) > STATES.indexOf(a) ? b : a))
}

/** Returns the earliest known time. */
function earliest(times: readonly (number | undefined)[]): number | undefined {
	const known = times.filter((time) => time !== undefined)
	return known.length === 0 ? undefined : Math.min(...known)
}

function sum(values: readonly number[]): number {
	return values.reduce((total, value) => total + value, 0)
}

function extreme(
	choose: (...values: number[]) => number,
	infos: readonly ChainInfo[],
	key: 'minTsMs' | 'maxTsMs',
): number | undefined {
	const times = infos.map((info) => info[key]).filter((time) => time !== undefined)
	return times.length === 0 ? undefined : choose(...times)
}
