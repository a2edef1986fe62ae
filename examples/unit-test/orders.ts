/**
 * Shows a module that publishes its decisions to a loop that the caller passes. A test can therefore pass an
 * in-memory loop.
 */
import type { MeshLoop } from 'mesh-chain'

export function acceptOrder(loop: MeshLoop, order: { id: number; amount?: number }): boolean {
	if (order.amount === undefined || order.amount <= 0) {
		loop.emit('order.refused', { id: order.id, reason: 'no amount' }, { level: 'warn' })
		return false
	}
	loop.emit('order.accepted', { id: order.id, amount: order.amount })
	return true
}
