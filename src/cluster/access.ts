/** Where the servers of NATS are, and how one gets in. Secrets come from files or from the caller; they reach no message. */
import {
	type Authenticator,
	type ConnectionOptions,
	credsAuthenticator,
	nkeyAuthenticator,
	type TlsOptions,
} from '@nats-io/transport-node'
import { MeshChainError, messageOf } from '../errors.ts'
import { nodeFileSystem } from '../file-system.ts'
import { checkFileOption, checkName, checkOptionNames, ifGiven, invalidOption } from '../options.ts'
import { show } from '../record.ts'

/** Whoever has no secret gives none: servers may be open. */
export interface NatsAccess {
	readonly user?: string
	readonly password?: string
	readonly token?: string
	/** A file with a JWT and its nkey seed, as `nsc generate creds` writes it. */
	readonly credsFile?: string
	/** A file with an nkey seed. */
	readonly nkeyFile?: string
	/** TLS is asked for where a server offers it; with `true` or files a connection without it is refused. */
	readonly tls?: boolean | TlsFiles
}

export interface TlsFiles {
	/** Certificates of authorities, beside those that Node knows. */
	readonly caFile?: string
	/** The client's own. */
	readonly certFile?: string
	readonly keyFile?: string
}

export const ACCESS_NAMES = ['user', 'password', 'token', 'credsFile', 'nkeyFile', 'tls'] as const

/** What `connect` of NATS takes for it. @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE` */
export function resolveAccess(access: NatsAccess): ConnectionOptions {
	const user = ifGiven('user', access.user, checkName)
	const pass = ifGiven('password', access.password, checkSecret)
	const token = ifGiven('token', access.token, checkSecret)
	const ways = [user, token, access.credsFile, access.nkeyFile].filter((way) => way !== undefined)
	if (ways.length > 1)
		throw new MeshChainError('INVALID_OPTION', 'one way in: user, token, credsFile or nkeyFile, not several')
	if (pass !== undefined && user === undefined)
		throw new MeshChainError('INVALID_OPTION', 'a password needs the user that it is of')
	const authenticator = fileAuthenticator(access)
	const tls = tlsOf(access.tls)
	return {
		...(user === undefined ? {} : { user }),
		...(pass === undefined ? {} : { pass }),
		...(token === undefined ? {} : { token }),
		...(authenticator === undefined ? {} : { authenticator }),
		...(tls === undefined ? {} : { tls }),
	}
}

function fileAuthenticator({ credsFile, nkeyFile }: NatsAccess): Authenticator | undefined {
	if (credsFile !== undefined) return credsAuthenticator(contentOf('credsFile', credsFile))
	if (nkeyFile === undefined) return undefined
	return nkeyAuthenticator(Buffer.from(contentOf('nkeyFile', nkeyFile).toString().trim()))
}

function tlsOf(tls: NatsAccess['tls']): TlsOptions | undefined {
	if (tls === undefined || tls === false) return undefined
	if (tls === true) return {}
	checkOptionNames(tls, ['caFile', 'certFile', 'keyFile'])
	for (const name of ['caFile', 'certFile', 'keyFile'] as const) {
		const path = tls[name]
		if (path !== undefined) contentOf(name, path)
	}
	return { ...tls }
}

function contentOf(name: string, path: string): Buffer {
	checkFileOption(name, path)
	try {
		return nodeFileSystem.readFileSync(path)
	} catch (error) {
		throw new MeshChainError(
			'FILE_UNREADABLE',
			`cannot read ${show(path)}, the ${name}: ${messageOf(error)}`,
			{
				path,
				cause: error,
			},
		)
	}
}

function checkSecret(name: string, value: unknown): string {
	if (typeof value === 'string' && value !== '') return value
	throw invalidOption(name, typeof value === 'string' ? '' : typeof value, 'a text that is not empty')
}
