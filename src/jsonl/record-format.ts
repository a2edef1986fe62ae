/** mesh-chain's own format: records in the JSON dialect, without any loss. */
import { recordFromFields, recordToJson } from '../codec/json-dialect.ts'
import { MeshChainError } from '../model/errors.ts'
import { INVALID_FIELD, type LineFormat } from './line-format.ts'

/** mesh-chain's own format: a record keeps everything, its seq, epoch and origin included. */
export const recordFormat: LineFormat = {
	name: 'mesh-chain',
	read(fields) {
		try {
			return { record: recordFromFields(fields) }
		} catch (error) {
			if (error instanceof MeshChainError || error instanceof RangeError) return INVALID_FIELD
			throw error
		}
	},
	write: recordToJson,
}
