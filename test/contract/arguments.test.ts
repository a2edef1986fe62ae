/** Arguments that the contract suites refuse before they register a test. */
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { appenderContract } from '../../src/testing/appender-contract.ts'
import { targetContract } from '../../src/testing/target-contract.ts'
import { testRefusals, wrong } from '../support/refusals.ts'

const runner = { describe() {}, test() {} }
const create = () => new BufferingAppender()

testRefusals([
	[
		'an appender contract without anything',
		() => appenderContract(wrong(), wrong()),
		'INVALID_OPTION',
		'create must be a function',
	],
	[
		'an appender contract of an appender',
		() => appenderContract(wrong(create()), runner),
		'INVALID_OPTION',
		'create must be a function',
	],
	[
		'an appender contract without a runner',
		() => appenderContract(create, wrong()),
		'INVALID_OPTION',
		'the functions of the test runner must be an object',
	],
	[
		'an appender contract without test',
		() => appenderContract(create, wrong({ describe() {} })),
		'INVALID_OPTION',
		'test must be a function',
	],
	[
		'an appender contract with readBack: 5',
		() => appenderContract(create, runner, wrong({ readBack: 5 })),
		'INVALID_OPTION',
		'readBack must be a function',
	],
	[
		'a target contract without anything',
		() => targetContract(wrong(), wrong()),
		'INVALID_OPTION',
		'create must be a function',
	],
	[
		'a target contract without a runner',
		() => targetContract(() => () => {}, wrong()),
		'INVALID_OPTION',
		'the functions of the test runner must be an object',
	],
	[
		'a target contract with an unknown option',
		() => targetContract(() => () => {}, runner, wrong({ breakMedium() {} })),
		'INVALID_OPTION',
		'no such option',
	],
])
