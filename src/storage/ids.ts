import { v7 as uuidv7 } from 'uuid'

let sequence = 0

/** A UUIDv7 of that instant (epoch ms); those made by one process in the same millisecond sort in the order of their making. */
export function newId(now: number): string {
  sequence = (sequence + 1) % 0x1_0000_0000
  return uuidv7({ msecs: now, seq: sequence })
}
