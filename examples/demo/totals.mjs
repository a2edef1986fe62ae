/**
 * Shows a replay target in another program. Adds up the orders that `mesh-chain replay --to exec:…` writes to
 * stdin as JSON Lines.
 */
import { createInterface } from 'node:readline'

let orders = 0
let total = 0
let firstMs = 0
for await (const line of createInterface({ input: process.stdin })) {
	const { kind, data } = JSON.parse(line)
	if (kind !== 'order.accepted') continue
	firstMs ||= performance.now()
	orders++
	total += data.total
}
const seconds = ((performance.now() - firstMs) / 1000).toFixed(1)
console.log(`${orders} orders, worth ${total.toFixed(2)}, received in ${seconds} s`)
