/** What the lateness of a call follows from; all of it as it was when the ending was claimed. Times are epoch ms. */
export interface Claimed {
  attempt: number
  retry_base: number
  due_at: number
  next_attempt_at: number
  created_at: number
}

/**
 * How late a call for an ending was that began at `startedAt` (epoch ms). The first attempt could be made when it was
 * asked for, or moved, even if the time that was asked for was past.
 */
export function latenessMs(ending: Claimed, startedAt: number): number {
  const isFirst = ending.attempt === ending.retry_base
  return startedAt - Math.max(ending.due_at, isFirst ? ending.next_attempt_at : ending.created_at)
}

// Each bucket is a tenth wider than the one before, so whatever is in one is told within five per cent.
const WIDTH = Math.log(1.1)

/** The bucket of a histogram that has a lateness (ms) in it. */
export function bucketOf(ms: number): number {
  return Math.round(Math.log(ms + 1) / WIDTH)
}

/** A lateness (ms) that stands for all those in its bucket. */
function msOf(bucket: number): number {
  return Math.round(Math.exp(bucket * WIDTH) - 1)
}

/** How many there are in each bucket. */
export type Histogram = Map<number, number>

export function sizeOf(histogram: Histogram): number {
  let size = 0
  for (const count of histogram.values()) size += count
  return size
}

/** The lateness (ms) that `part` of all are not above, within a tenth. */
export function percentileOf(histogram: Histogram, part: number): number {
  let left = Math.ceil(sizeOf(histogram) * part)
  for (const bucket of [...histogram.keys()].sort((a, b) => a - b)) {
    left -= histogram.get(bucket) as number
    if (left <= 0) return msOf(bucket)
  }
  return 0
}
