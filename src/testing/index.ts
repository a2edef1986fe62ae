/** Entry point `mesh-chain/testing`. Contains only re-exports. */
export { appenderContract, type ContractOptions, type TestFunctions } from './appender-contract.ts'
export { type SourceContractOptions, sourceContract } from './source-contract.ts'
export { type TargetContractOptions, targetContract } from './target-contract.ts'
