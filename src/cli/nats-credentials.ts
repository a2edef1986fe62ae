/**
 * Reads the NATS access options from environment variables, so that secrets do not appear on the command
 * line. The `nats` program uses the same variables.
 */
import type { NatsAccess, TlsFiles } from '../cluster/credentials.ts'
import type { EnvironmentVariable } from './command.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The variables and their meanings, for the help. */
export const NATS_VARIABLES: readonly EnvironmentVariable[] = [
	['NATS_USER, NATS_PASSWORD', 'user name and password'],
	['NATS_TOKEN', 'token'],
	['NATS_CREDS', 'path of a credentials file'],
	['NATS_NKEY', 'path of a file with an NKey seed'],
	['NATS_CA', 'path of the CA file for verifying the server certificate (TLS)'],
	['NATS_CERT, NATS_KEY', 'paths of the client certificate and its key (TLS)'],
]

/** The names of the variables, for messages. */
export const NATS_VARIABLE_NAMES = NATS_VARIABLES.map(([names]) => names).join(', ')

/** Returns the access options that the environment defines. An empty variable is treated as unset. */
export function natsAccess(environment: Environment): NatsAccess {
	const { NATS_USER, NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY } =
		environment
	const tls: TlsFiles = nonEmpty({ caFile: NATS_CA, certFile: NATS_CERT, keyFile: NATS_KEY })
	return {
		...nonEmpty({
			user: NATS_USER,
			password: NATS_PASSWORD,
			token: NATS_TOKEN,
			credsFile: NATS_CREDS,
			nkeyFile: NATS_NKEY,
		}),
		...(Object.keys(tls).length === 0 ? {} : { tls }),
	}
}

function nonEmpty(values: Environment): Record<string, string> {
	return Object.fromEntries(
		Object.entries(values).filter((entry): entry is [string, string] => Boolean(entry[1])),
	)
}
