/**
 * The record that every contender writes: seq, time, level, daemon id, node id, and a message of 40 to 60
 * characters that differs from record to record. The index determines everything, so data that was read back
 * can be checked without keeping a copy of the written data.
 */

export const NODE_ID = 'node-1'
const DAEMONS = ['api', 'auth', 'billing', 'gateway', 'mailer', 'orders', 'search', 'stock']

export function daemonOf(index) {
	return DAEMONS[index % DAEMONS.length]
}

/** One record in ten is a warning. */
function usualLevelOf(index) {
	return index % 10 === 9 ? 'warn' : 'info'
}

/**
 * Returns a function that maps the index of a record to its level. With `errors`, one record in a thousand is
 * at `error`, in ten bursts or spread evenly.
 *
 * @param errors The distribution of the errors: `bursts` or `spread`. Default: no errors.
 */
export function levels(errors, count) {
	if (errors === undefined) return usualLevelOf
	if (errors === 'spread') return (index) => (index % 1000 === 500 ? 'error' : usualLevelOf(index))
	const part = Math.floor(count / 10)
	const burst = Math.floor(count / 10_000)
	return (index) => {
		const at = (index % part) - (part >> 1)
		return at >= 0 && at < burst ? 'error' : usualLevelOf(index)
	}
}

function messageOf(index) {
	const order = (Math.imul(index + 1, 2_654_435_761) >>> 0).toString(16).padStart(8, '0')
	return `request ${index + 1} for order ${order} answered in ${(index * 7) % 997} ms`
}

/**
 * Creates flat strings before the clock starts. The first encoder of a concatenated string flattens it, and
 * the benchmark would count that time as encoding.
 */
export function messages(count) {
	return Array.from({ length: count }, (_unused, index) =>
		Buffer.from(messageOf(index), 'latin1').toString('latin1'),
	)
}

/**
 * Counts records while a reader is timed. Every field is an argument, so the reader must decode all of them.
 */
export class Tally {
	count = 0
	seqSum = 0
	messageChars = 0
	otherFields = 0
	dataSum = 0
	#probe

	/** @param probe Returns a number from the data of a record; undefined for records without data. */
	constructor(probe) {
		this.#probe = probe
	}

	add(seq, tsMs, level, daemonId, nodeId, message, data) {
		this.count++
		this.seqSum += seq
		this.messageChars += message.length
		if (tsMs > 0 && level !== undefined && daemonId !== undefined && nodeId !== undefined) this.otherFields++
		if (this.#probe !== undefined) this.dataSum += this.#probe(data)
	}

	/**
	 * @param wanted Which records of the workload should have been read: `(index) => boolean`
	 * @param dataOf Returns the data of a record: `(index) => data`
	 * @throws If the tally does not match these records.
	 */
	check(count, wanted = () => true, dataOf = undefined) {
		const expected = { count: 0, seqSum: 0, messageChars: 0, otherFields: 0, dataSum: 0 }
		for (let index = 0; index < count; index++) {
			if (!wanted(index)) continue
			expected.count++
			expected.seqSum += index + 1
			expected.messageChars += messageOf(index).length
			expected.otherFields++
			if (this.#probe !== undefined) expected.dataSum += this.#probe(dataOf(index))
		}
		for (const [name, value] of Object.entries(expected)) {
			if (this[name] !== value) throw new Error(`read back ${name} ${this[name]} instead of ${value}`)
		}
	}
}

/** Compares everything read back, field by field, in order. */
export class ContentCheck {
	#index = 0
	#sinceMs
	#untilMs = Date.now()
	#levelOf
	#checkData

	/**
	 * @param sinceMs The earliest possible time of a record. The latest is the current time.
	 * @param checkData Throws if the data of a record is not what was written: `(index, data) => void`
	 */
	constructor(sinceMs, levelOf, checkData) {
		this.#sinceMs = sinceMs
		this.#levelOf = levelOf
		this.#checkData = checkData
	}

	add(seq, tsMs, level, daemonId, nodeId, message, data) {
		const index = this.#index++
		const got = [seq, level, daemonId, nodeId, message]
		const expected = [index + 1, this.#levelOf(index), daemonOf(index), NODE_ID, messageOf(index)]
		for (const [at, value] of expected.entries()) {
			if (got[at] !== value) throw new Error(`record ${index + 1}: read ${got[at]} instead of ${value}`)
		}
		if (!(tsMs >= this.#sinceMs && tsMs <= this.#untilMs)) {
			throw new Error(`record ${index + 1}: its time ${tsMs} is outside the run`)
		}
		this.#checkData(index, data)
	}

	/** @throws If the number of records differs. */
	check(count) {
		if (this.#index !== count) throw new Error(`read back ${this.#index} of ${count} records`)
	}
}
