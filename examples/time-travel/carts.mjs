// @ts-check
/**
 * Shows a fold: what the service keeps in memory, and what `mesh-chain state --fold` computes from its chain.
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
