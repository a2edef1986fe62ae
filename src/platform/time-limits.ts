/** Bounds of time that the platform sets. */

/** Longest delay of Node's timers, in milliseconds. Timers with a longer delay fire at once. */
export const TIMER_MS_MAX = 2_147_483_647
/** Latest time that a `Date` can hold, in milliseconds since 1970. Also the latest `tsMs`. */
export const TIME_MAX_MS = 8_640_000_000_000_000
