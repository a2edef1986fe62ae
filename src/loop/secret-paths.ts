/** The paths of the secrets that web services usually handle. */

/** Names of fields and headers that contain secrets. Upper and lower case are equal in paths. */
const NAMES = [
	...['authorization', 'proxy-authorization', 'cookie', 'cookies', 'set-cookie', 'rawHeaders'],
	...['x-api-key', 'x-auth-token', 'x-access-token', 'x-csrf-token', 'x-xsrf-token'],
	...['password', 'passwd', 'passphrase', 'secret', 'client_secret', 'clientSecret', 'credentials', 'auth'],
	...['token', 'access_token', 'accessToken', 'refresh_token', 'refreshToken', 'id_token', 'idToken', 'jwt'],
	...['api_key', 'apiKey', 'api-key', 'private_key', 'privateKey', 'session_id', 'sessionId', 'csrfToken'],
]

/**
 * Paths for the option `redact` that select the usual secrets of a web service at any depth, by the names of
 * their fields: headers such as `authorization` and `cookie`, passwords, tokens and keys. Add the paths of
 * your own secrets: `redact: [...SECRET_PATHS, '**.iban']`.
 */
export const SECRET_PATHS: readonly string[] = Object.freeze(NAMES.map((name) => `**.${name}`))
