/** mesh-chain's own lossless format, which writes records in the JSON dialect. */
import { recordFromFields, recordToJson } from '../codec/json-dialect.ts'
import { MeshChainError } from '../model/errors.ts'
import { INVALID_FIELD, type LineFormat } from './line-format.ts'

/** mesh-chain's own format, which preserves every field of a record, including its seq, epoch and origin. */
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
