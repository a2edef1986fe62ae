/** Creates keys, tokens and certificates for a test, as `nsc`, `nk` and `openssl` do. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import { requirePackage } from './system-packages.ts'

type KeyPair = ReturnType<typeof nkeys.createUser>

/** A public key, and its seed in the form of a file. */
export interface Nkey {
	readonly publicKey: string
	readonly seed: string
}

export function newNkey(pair: KeyPair = nkeys.createUser()): Nkey {
	return { publicKey: pair.getPublicKey(), seed: Buffer.from(pair.getSeed()).toString() }
}

/** An operator with one account that may use JetStream, and the server's configuration for it. */
export class Operator {
	readonly #operator = nkeys.createOperator()
	readonly #account = nkeys.createAccount()

	/** Lines of a server's configuration. */
	get config(): string {
		const system = nkeys.createAccount()
		const accounts = [this.#account, system].map((account) => {
			const storage = account === system ? 0 : -1
			const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1 }
			const jetStream = { mem_storage: storage, disk_storage: storage, streams: storage, consumer: storage }
			const token = jwt(this.#operator, account, 'account', { limits: { ...limits, ...jetStream } })
			return `${account.getPublicKey()}: ${token}`
		})
		return [
			`operator: ${jwt(this.#operator, this.#operator, 'operator', {})}`,
			`system_account: ${system.getPublicKey()}`,
			'resolver: MEMORY',
			`resolver_preload: { ${accounts.join(', ')} }`,
		].join('\n')
	}

	/** Creates a credentials file, and returns it with its secrets. */
	newCreds(claims: Readonly<Record<string, unknown>> = {}): {
		readonly text: string
		readonly secrets: readonly string[]
	} {
		const user = nkeys.createUser()
		const limits = { pub: {}, sub: {}, subs: -1, data: -1, payload: -1 }
		const token = jwt(this.#account, user, 'user', limits, claims)
		const { seed } = newNkey(user)
		const text = [
			`-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n`,
			'************************* IMPORTANT *************************\n' +
				'NKEY Seed printed below can be used to sign and prove identity.\n',
			`-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
		].join('\n')
		return { text, secrets: [token, seed] }
	}
}

function jwt(issuer: KeyPair, subject: KeyPair, type: string, nats: object, claims: object = {}): string {
	const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
	const body = {
		jti: 'of-a-test',
		iat: Math.floor(Date.now() / 1000),
		iss: issuer.getPublicKey(),
		name: type,
		sub: subject.getPublicKey(),
		nats: { ...nats, type, version: 2 },
		...claims,
	}
	const signed = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(body)}`
	return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString('base64url')}`
}

export interface Certificate {
	readonly certFile: string
	readonly keyFile: string
	/** Content of its key file between the first line and the last. */
	readonly secret: string
}

/** A certificate authority; its files and those of its certificates are in the folder. */
export class Authority {
	readonly #folder: string
	readonly #name: string
	readonly caFile: string

	constructor(folder: string, name: string) {
		requirePackage('openssl')
		this.#folder = folder
		this.#name = name
		this.caFile = this.#path(name, 'pem')
		this.#openssl(
			'req',
			'-x509',
			...NEW_KEY,
			this.#path(name, 'key'),
			'-subj',
			`/CN=${name}`,
			'-days',
			'2',
			'-out',
			this.caFile,
		)
	}

	/** Signs a certificate for `localhost`, for servers and clients. */
	sign(name: string): Certificate {
		const certFile = this.#path(name, 'pem')
		const keyFile = this.#path(name, 'key')
		const request = this.#path(name, 'csr')
		const extensions = this.#path(name, 'ext')
		writeFileSync(extensions, 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n')
		this.#openssl('req', '-new', ...NEW_KEY, keyFile, '-subj', `/CN=${name}`, '-out', request)
		const authority = ['-CA', this.caFile, '-CAkey', this.#path(this.#name, 'key'), '-CAcreateserial']
		this.#openssl(
			'x509',
			'-req',
			'-in',
			request,
			...authority,
			'-extfile',
			extensions,
			'-days',
			'2',
			'-out',
			certFile,
		)
		return { certFile, keyFile, secret: readFileSync(keyFile, 'utf8').replace(/-----[^-]+-----|\n/g, '') }
	}

	#path(name: string, ending: string): string {
		return join(this.#folder, `${name}.${ending}`)
	}

	#openssl(...args: string[]): void {
		execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
	}
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout'] as const
