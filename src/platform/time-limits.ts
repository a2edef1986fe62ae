/** Bounds of time that the platform sets. */

/** Longest delay of Node's timers, in milliseconds. A longer one fires at once. */
export const TIMER_MS_MAX = 2_147_483_647
/** Latest time that a `Date` holds, in milliseconds since 1970, and so the latest `tsMs`. */
export const TIME_MAX_MS = 8_640_000_000_000_000
