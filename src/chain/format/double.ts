/** A float64 with its MessagePack tag: nine bytes wherever a field has a fixed place. */

export function writeDouble(bytes: Buffer, pos: number, value: number): void {
	bytes[pos] = 0xcb
	bytes.writeDoubleBE(value, pos + 1)
}

export function readDouble(bytes: Buffer, pos: number): number {
	return bytes.readDoubleBE(pos + 1)
}
