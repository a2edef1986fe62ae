/**
 * Returns the exit status that matches a message of the program: 2 for a wrong command line, 5 for any other
 * failure.
 */
export function refusedStatus(stderr: string): 2 | 5 {
	return /^mesh-chain: INVALID_/m.test(stderr) ? 2 : 5
}
