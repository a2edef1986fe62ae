/** Figures for people. */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const

/** A count with its thousands apart. */
export function count(value: number): string {
	return value.toLocaleString('en-US')
}

/** So many of something: `1 record`, `2,000 records`. */
export function counted(value: number, one: string): string {
	return `${count(value)} ${one}${value === 1 ? '' : 's'}`
}

/** A size, short and exact. */
export function bytes(value: number): string {
	const exact = `${count(value)} ${value === 1 ? 'byte' : 'bytes'}`
	let scaled = value
	let unit = ''
	for (const next of UNITS) {
		if (scaled < 1024) break
		scaled /= 1024
		unit = next
	}
	return unit === '' ? exact : `${scaled.toFixed(1)} ${unit} (${exact})`
}
