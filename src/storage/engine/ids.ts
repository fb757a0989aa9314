import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'

const POOL_BYTES = 4096
const ID_BYTES = 16

let sequence = 0
let pool = randomBytes(POOL_BYTES)
let used = 0

/** A UUIDv7 of that instant (epoch ms); those made by one process in the same millisecond sort in the order of their making. */
export function newId(now: number): string {
  sequence = (sequence + 1) % 0x1_0000_0000
  return uuidv7({ msecs: now, seq: sequence, random: random16() })
}

// Asking the system for random bytes costs more than storing the ending, so they are asked for many at a time.
function random16(): Buffer {
  if (used + ID_BYTES > pool.length) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  used += ID_BYTES
  return pool.subarray(used - ID_BYTES, used)
}
