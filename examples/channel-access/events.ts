/**
 * Shows how to define a JSON Lines format with checked fields. A Channel Access recorder reads and writes its
 * three events in this format.
 */
import { isIP } from 'node:net'
import { eventFormat } from 'mesh-chain'

export type ChannelAccessEvents = {
	/** A server announces itself. */
	beacon_recv: { server: string; seq: number; version: number }
	client_connect: { peer: string }
	client_disconnect: { peer: string }
}

/** Returns whether a value is an IPv4 or IPv6 address with a port: `10.0.0.5:5064`, `[::1]:5064`. */
export function isAddress(value: unknown): boolean {
	const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(String(value)) ?? []
	return (isIP(v6 ?? '') === 6 || isIP(v4 ?? '') === 4) && Number(port) < 2 ** 16
}

const unsigned = (bits: number) => (value: unknown) =>
	Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** bits

export const format = eventFormat({
	beacon_recv: { server: isAddress, seq: unsigned(32), version: unsigned(16) },
	client_connect: { peer: isAddress },
	client_disconnect: { peer: isAddress },
})

/** Command CA_PROTO_RSRV_IS_UP of the Channel Access protocol, and the size of every header in bytes. */
const BEACON = 13
const HEADER_BYTES = 16

/** Reads a datagram. Returns undefined if it is not a beacon. */
export function readBeacon(
	bytes: Buffer,
	{ address }: { address: string },
): ChannelAccessEvents['beacon_recv'] | undefined {
	if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(0) !== BEACON) return undefined
	// A server that does not know its own address sends 0. In that case, the address of the sender is used.
	const own = bytes.readUInt32BE(12) === 0 ? address : [...bytes.subarray(12, 16)].join('.')
	return {
		server: `${own}:${bytes.readUInt16BE(6)}`,
		seq: bytes.readUInt32BE(8),
		version: bytes.readUInt16BE(4),
	}
}

/** Returns the datagram for a beacon. */
export function writeBeacon({ port, seq, version }: { port: number; seq: number; version: number }): Buffer {
	const bytes = Buffer.alloc(HEADER_BYTES)
	bytes.writeUInt16BE(BEACON, 0)
	bytes.writeUInt16BE(version, 4)
	bytes.writeUInt16BE(port, 6)
	bytes.writeUInt32BE(seq, 8)
	return bytes
}
