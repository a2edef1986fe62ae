/** mesh-chain's own format: the one JSON dialect, in which a record loses nothing. */
import { recordFromFields, recordToJson } from '../codec/json-dialect.ts'
import { MeshChainError } from '../model/errors.ts'
import { INVALID_FIELD, type LineFormat } from './line-format.ts'

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
