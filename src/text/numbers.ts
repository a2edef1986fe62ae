/** Formats numbers for human readers. */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const

/** Formats a number with thousands separators, as in `2,000`. */
export function count(value: number): string {
	return value.toLocaleString('en-US')
}

/**
 * Formats a number with a noun, as in `1 record` or `2,000 records`.
 *
 * @param many Plural of the noun. Default: the singular with an `s`.
 */
export function counted(value: number, one: string, many = `${one}s`): string {
	return `${count(value)} ${value === 1 ? one : many}`
}

/** Formats a size in bytes, preceded by a rounded value from 1 KiB upwards: `1.5 KiB (1,536 bytes)`. */
export function bytes(value: number): string {
	const exact = counted(value, 'byte')
	let scaled = value
	let unit = ''
	for (const next of UNITS) {
		if (scaled < 1024) break
		scaled /= 1024
		unit = next
	}
	return unit === '' ? exact : `${scaled.toFixed(1)} ${unit} (${exact})`
}
