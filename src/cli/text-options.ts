/** Options of the commands that read what other programs print. */
import type { LogReading } from '../jsonl/formats.ts'
import { messageOf } from '../model/errors.ts'
import { LOCAL_ZONE, parseTimeZone, type TimeZone } from '../model/time-zone.ts'
import { type Assumption, WrittenTimes } from '../plain-text/written-time.ts'
import { type Invocation, type OptionSpec, usage } from './command.ts'
import { printed } from './printable.ts'
import type { Terminal } from './terminal.ts'

/** The options of {@link logReadingOf}. */
export const TEXT_OPTIONS: readonly OptionSpec[] = [
	{
		long: 'tz',
		value: 'ZONE',
		defaultText: 'local',
		help: 'time zone of times without an offset: local, UTC, +02:00, Europe/Berlin',
	},
	{ long: 'multiline', help: 'join the lines of a stack trace or a printed object into one record' },
]

/** Returns how lines are read. The first time of each assumption about times, a message on stderr says so. */
export function logReadingOf(invocation: Invocation, terminal: Terminal): LogReading {
	const zone = zoneOf(invocation)
	const times = new WrittenTimes(zone, terminal.now, (assumption) =>
		terminal.stderr.write(printed`mesh-chain: ${statementOf(assumption, zone)}\n`),
	)
	return { times, isJoining: invocation.flag('multiline') }
}

function zoneOf(invocation: Invocation): TimeZone {
	const text = invocation.text('tz')
	if (text === undefined) return LOCAL_ZONE
	try {
		return parseTimeZone('--tz', text)
	} catch (error) {
		throw usage(messageOf(error))
	}
}

function statementOf(assumption: Assumption, { name }: TimeZone): string {
	return assumption === 'zone'
		? `times without an offset are read in the time zone ${name} (--tz sets it)`
		: 'times without a year are read as the newest year that is not in the future'
}
