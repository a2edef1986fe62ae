// @ts-check
/**
 * Shows a fold. The service keeps the result in memory, and `mesh-chain state --fold` computes the same
 * result from the chain.
 *
 * A fold is a plain JavaScript module, because the command line loads it.
 *
 * @typedef {Record<string, { items: number[], coupons: number[] }>} Carts
 */

/** @type {Carts} */
export const initial = {}

/**
 * @param {Carts} carts
 * @param {{ kind: string, data?: any }} record
 * @returns {Carts}
 */
export default function apply(carts, { kind, data }) {
	const { items, coupons } = carts[data?.cart] ?? { items: [], coupons: [] }
	if (kind === 'item.added') return { ...carts, [data.cart]: { items: [...items, data.price], coupons } }
	if (kind === 'coupon.applied')
		return { ...carts, [data.cart]: { items, coupons: [...coupons, data.percent] } }
	return carts
}
