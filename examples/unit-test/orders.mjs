/** A module that publishes what it does; it does not care where the records go. */
export function acceptOrder(loop, order) {
	if (!(order.amount > 0)) {
		loop.emit('order.refused', { id: order.id, reason: 'no amount' }, { level: 'warn' })
		return false
	}
	loop.emit('order.accepted', { id: order.id, amount: order.amount })
	return true
}
