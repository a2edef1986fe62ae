/**
 * Credentials for NATS servers. Secrets come from files or from the caller, and never appear in error
 * messages.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import {
	type Authenticator,
	type ConnectionOptions,
	credsAuthenticator,
	nkeyAuthenticator,
	type TlsOptions,
} from '@nats-io/transport-node'
import { show } from '../guard/show.ts'
import { checkFileOption, checkName, checkOptionNames, invalidOption } from '../model/check.ts'
import {
	defined,
	defineOptions,
	type OptionRules,
	optional,
	type ResolvedOptions,
	unchecked,
} from '../model/define-options.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { nodeFileSystem } from '../platform/file-system.ts'

/**
 * Options for authentication. Set one of `user`, `token`, `credsFile` and `nkeyFile`, or none of them if the
 * server does not require authentication.
 */
export interface NatsAccess {
	/** User name. */
	readonly user?: string
	/** Password of the user. */
	readonly password?: string
	/** Authentication token. */
	readonly token?: string
	/**
	 * Path of a file with a user JWT and its nkey seed, in the format of `nsc generate creds`. The file is read
	 * again for each connection.
	 */
	readonly credsFile?: string
	/**
	 * Path of a file with a user's nkey seed, in the format of `nk -gen user`. The file is read again for each
	 * connection.
	 */
	readonly nkeyFile?: string
	/**
	 * Whether to require TLS, or the TLS files to use, which imply that TLS is required. A `tls://…` server
	 * always requires TLS. Default: TLS is used if the server offers it.
	 */
	readonly tls?: boolean | TlsFiles
}

/** TLS files in PEM format. */
export interface TlsFiles {
	/**
	 * Path of a file with the certificates of the trusted authorities. Default: the authorities that Node
	 * trusts.
	 */
	readonly caFile?: string
	/** Path of the client certificate. Requires `keyFile`. */
	readonly certFile?: string
	/** Path of the private key for the client certificate. Requires `certFile`. */
	readonly keyFile?: string
}

/** Option rules for credentials, used by components that accept credentials among their own options. */
export const ACCESS_RULES = {
	user: optional(checkName),
	password: optional(checkSecret),
	token: optional(checkSecret),
	credsFile: unchecked<string>(),
	nkeyFile: unchecked<string>(),
	tls: unchecked<boolean | TlsFiles>(),
} satisfies OptionRules<NatsAccess>

const ACCESS = defineOptions(ACCESS_RULES)

/** Checked credentials, except for the TLS options and the files, which {@link resolveAccess} checks. */
export type GivenAccess = ResolvedOptions<typeof ACCESS_RULES>

/**
 * Checks credentials that are not part of other options. {@link resolveAccess} checks their files.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkAccess(access: unknown): GivenAccess {
	return ACCESS.resolve(access)
}

/**
 * Returns the NATS options for these credentials.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE`
 */
export function resolveAccess({ user, password: pass, token, ...files }: GivenAccess): ConnectionOptions {
	const ways = [user, token, files.credsFile, files.nkeyFile].filter((way) => way !== undefined)
	if (ways.length > 1)
		throw new MeshChainError('INVALID_OPTION', 'use only one of user, token, credsFile and nkeyFile')
	if (pass !== undefined && user === undefined)
		throw new MeshChainError('INVALID_OPTION', 'password requires user')
	return defined({ user, pass, token, authenticator: fileAuthenticator(files), tls: tlsOf(files.tls) })
}

/** Content that an unusable file lacks, worded for error messages. These messages never quote the file. */
const CONTENTS = {
	credsFile: 'no user JWT with its seed, in the format of nsc generate creds',
	nkeyFile: 'no user seed, which is a line that starts with SU',
	caFile: 'no certificate in PEM format',
	certFile: 'no certificate in PEM format',
	keyFile: 'no private key in PEM format without a passphrase',
} as const

type AccessFile = keyof typeof CONTENTS

function fileAuthenticator({
	credsFile,
	nkeyFile,
}: Pick<GivenAccess, 'credsFile' | 'nkeyFile'>): Authenticator | undefined {
	if (credsFile !== undefined) return renewed('credsFile', credsFile, credsIn)
	return nkeyFile === undefined ? undefined : renewed('nkeyFile', nkeyFile, nkeyIn)
}

/**
 * Returns an authenticator that reads the file again for each connection, so that a renewed file takes effect
 * without a restart. If the file becomes unusable, the last usable contents remain in effect.
 */
function renewed(name: AccessFile, path: string, find: (text: string) => Authenticator): Authenticator {
	const read = () =>
		foundIn(name, path, (content) => {
			const found = find(content.toString())
			// The authenticator reports a missing seed only when it is called.
			found('')
			return found
		})
	let last = read()
	return (nonce) => {
		try {
			last = read()
		} catch {
			// The server decides whether the last usable contents are still valid.
		}
		return last(nonce)
	}
}

/**
 * Parses a credentials file. The client requires every line to end with a line feed without a carriage
 * return.
 */
function credsIn(text: string): Authenticator {
	return credsAuthenticator(Buffer.from(`${text.replaceAll('\r\n', '\n')}\n`))
}

function nkeyIn(text: string): Authenticator {
	return nkeyAuthenticator(Buffer.from(/^\s*(SU[A-Z2-7]+)\s*$/m.exec(text)?.[1] ?? ''))
}

function tlsOf(tls: GivenAccess['tls']): TlsOptions | undefined {
	if (tls === undefined || tls === false) return undefined
	if (tls === true) return {}
	checkOptionNames(tls, ['caFile', 'certFile', 'keyFile'])
	const { caFile, certFile, keyFile } = tls
	if (caFile !== undefined) foundIn('caFile', caFile, certificateIn)
	const certificate = certFile === undefined ? undefined : foundIn('certFile', certFile, certificateIn)
	const key = keyFile === undefined ? undefined : foundIn('keyFile', keyFile, createPrivateKey)
	if (certificate === undefined && key === undefined) return { ...tls }
	if (certificate === undefined || key === undefined)
		throw new MeshChainError('INVALID_OPTION', 'certFile and keyFile must be set together')
	if (!certificate.checkPrivateKey(key))
		throw new MeshChainError(
			'INVALID_OPTION',
			`the key in the keyFile ${show(keyFile)} does not belong to the certificate in the certFile ` +
				`${show(certFile)}`,
		)
	return { ...tls }
}

/** Parses a certificate. Node accepts only PEM for TLS, and silently ignores anything else. */
function certificateIn(content: Buffer): X509Certificate {
	if (!/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(content.toString('latin1')))
		throw new Error('no PEM')
	return new X509Certificate(content)
}

/** @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE` */
function foundIn<T>(name: AccessFile, path: string, find: (content: Buffer) => T): T {
	const content = contentOf(name, path)
	try {
		return find(content)
	} catch {
		// The original error may quote the file.
		throw new MeshChainError(
			'FILE_UNREADABLE',
			`cannot use the ${name} ${show(path)}: it contains ${CONTENTS[name]}`,
			{ path },
		)
	}
}

/** Matches the contents of a file rather than a path: a seed, a JWT, PEM data or several lines. */
const SECRET = /^\s*(?:S[A-Z2-7]{50,}\s*$|eyJ[\w-]+\.|-----BEGIN )|\n/

function contentOf(name: AccessFile, path: string): Buffer {
	checkFileOption(name, path)
	// The error for a missing file would show the path, which may be a secret that was passed by mistake.
	if (SECRET.test(path))
		throw new MeshChainError('INVALID_OPTION', `${name} must be the path of a file, not its contents`)
	try {
		return nodeFileSystem.readFileSync(path)
	} catch (error) {
		throw new MeshChainError(
			'FILE_UNREADABLE',
			`cannot read the ${name} ${show(path)}: ${messageOf(error)}`,
			{
				path,
				cause: error,
			},
		)
	}
}

function checkSecret(name: string, value: unknown): string {
	if (typeof value === 'string' && value !== '') return value
	throw invalidOption(name, typeof value === 'string' ? '' : typeof value, 'a non-empty string')
}
