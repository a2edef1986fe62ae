/** The carts of the shop, as a fold over its records: what the service keeps, and what `mesh-chain state --fold` makes of a chain. */

export const initial = {}

export default function apply(carts, { kind, data }) {
	const { items, coupons } = carts[data?.cart] ?? { items: [], coupons: [] }
	if (kind === 'item.added') return { ...carts, [data.cart]: { items: [...items, data.price], coupons } }
	if (kind === 'coupon.applied')
		return { ...carts, [data.cart]: { items, coupons: [...coupons, data.percent] } }
	return carts
}
