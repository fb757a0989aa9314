/** Loaded before a Curfew: its machine's clock is so far off (ms). Only the harness does this. */
const offset = Number(process.env.CLOCK_OFFSET_MS ?? 0)
const { now } = Date
Date.now = () => now() + offset
