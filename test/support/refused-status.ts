/**
 * The exit status that goes with a message of the program: 2 where the command line was wrong, 5 where
 * something else failed.
 */
export function refusedStatus(stderr: string): 2 | 5 {
	return /^mesh-chain: INVALID_/m.test(stderr) ? 2 : 5
}
