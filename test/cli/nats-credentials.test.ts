import { expect, test } from 'vitest'
import { NATS_VARIABLES, natsAccess } from '../../src/cli/nats-credentials.ts'

const NAMES = NATS_VARIABLES.flatMap(([names]) => names.split(', '))

test('every variable in the help sets one part of the access', () => {
	expect(natsAccess(Object.fromEntries(NAMES.map((name) => [name, name])))).toEqual({
		user: 'NATS_USER',
		password: 'NATS_PASSWORD',
		token: 'NATS_TOKEN',
		credsFile: 'NATS_CREDS',
		nkeyFile: 'NATS_NKEY',
		tls: { caFile: 'NATS_CA', certFile: 'NATS_CERT', keyFile: 'NATS_KEY' },
	})
})

test('an empty variable counts as unset, and without variables TLS is off', () => {
	expect(natsAccess({})).toEqual({})
	expect(natsAccess(Object.fromEntries(NAMES.map((name) => [name, ''])))).toEqual({})
	expect(natsAccess({ NATS_TOKEN: 't', PATH: '/bin' })).toEqual({ token: 't' })
})
