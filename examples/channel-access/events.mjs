// @ts-check
/**
 * The three events of a Channel Access recorder, and the form that they have in a file.
 *
 * @typedef {object} ChannelAccessEvents
 * @property {{ server: string, seq: number, version: number }} beacon_recv a server has said that it is there
 * @property {{ peer: string }} client_connect
 * @property {{ peer: string }} client_disconnect
 */
import { isIP } from 'node:net'
import { eventFormat } from 'mesh-chain'

/**
 * An address of IPv4 or IPv6 with a port: `10.0.0.5:5064`, `[::1]:5064`.
 *
 * @param {unknown} value
 */
export function isAddress(value) {
	const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(String(value)) ?? []
	return (isIP(v6 ?? '') === 6 || isIP(v4 ?? '') === 4) && Number(port) < 2 ** 16
}

/** @param {number} bits @returns {(value: unknown) => boolean} */
const unsigned = (bits) => (value) =>
	Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** bits

export const format = eventFormat({
	beacon_recv: { server: isAddress, seq: unsigned(32), version: unsigned(16) },
	client_connect: { peer: isAddress },
	client_disconnect: { peer: isAddress },
})

/** The command of a beacon, and the bytes of every header (Channel Access protocol specification, CA_PROTO_RSRV_IS_UP). */
const BEACON = 13
const HEADER_BYTES = 16

/**
 * What a datagram says when it is a beacon.
 *
 * @param {Buffer} bytes
 * @param {{ address: string }} sender
 * @returns {ChannelAccessEvents['beacon_recv'] | undefined}
 */
export function readBeacon(bytes, { address }) {
	if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(0) !== BEACON) return undefined
	// A server that does not know its own address leaves it to whoever receives.
	const own = bytes.readUInt32BE(12) === 0 ? address : [...bytes.subarray(12, 16)].join('.')
	return {
		server: `${own}:${bytes.readUInt16BE(6)}`,
		seq: bytes.readUInt32BE(8),
		version: bytes.readUInt16BE(4),
	}
}

/**
 * The datagram that a server sends.
 *
 * @param {{ port: number, seq: number, version: number }} beacon
 */
export function writeBeacon({ port, seq, version }) {
	const bytes = Buffer.alloc(HEADER_BYTES)
	bytes.writeUInt16BE(BEACON, 0)
	bytes.writeUInt16BE(version, 4)
	bytes.writeUInt16BE(port, 6)
	bytes.writeUInt32BE(seq, 8)
	return bytes
}
