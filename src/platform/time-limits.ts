/** Time limits of the platform. */

/** Maximum delay of Node's timers, in milliseconds. Timers with a longer delay fire immediately. */
export const TIMER_MS_MAX = 2_147_483_647
/** Latest time that a `Date` can represent, in milliseconds since 1970. Also the maximum for `tsMs`. */
export const TIME_MAX_MS = 8_640_000_000_000_000
