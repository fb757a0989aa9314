import { roomId } from '../ending.ts'

/** A rule: no session in `room` lasts longer than `maxMinutes`. */
export interface Rule {
  /** a room's UUID or friendly URL, or `external:` and its external id; empty for the default */
  room: string
  /** who made it, and whose its endings are */
  requestedBy: string
  maxMinutes: number
  warnMinutes: number[] | undefined
}

/** A room by all the names it has. */
export interface RoomNames {
  roomId: string | null
  friendlyUrl: string | null
  externalId: string | null
}

/** A session that was seen live. `startedAt` is epoch ms. */
export interface SeenSession extends RoomNames {
  id: string
  startedAt: number
}

export const EXTERNAL = 'external:'
export const MINUTE_MS = 60_000
export const LONGEST_LIMIT_MINUTES = 7 * 24 * 60
/** The default's rule names no room. */
export const DEFAULT = ''

/** How rules and holds may name this room. */
export function namesOf({ roomId: id, friendlyUrl, externalId }: RoomNames): string[] {
  return [
    id === null ? null : roomId(id),
    friendlyUrl,
    externalId === null ? null : EXTERNAL + externalId,
  ].filter((name) => name !== null)
}

/** Rules by the room that they name, and one for rooms that none names. */
export class Rules {
  readonly #byRoom: Map<string, Rule>
  readonly #byDefault: Rule | undefined

  constructor(rules: Rule[], byDefault: Rule | undefined) {
    this.#byRoom = new Map(rules.map((rule) => [rule.room, rule]))
    this.#byDefault = byDefault
  }

  /** The rules for a room, the shortest of each party; the default's, where nobody names the room. */
  ofEach(room: RoomNames): Rule[] {
    const shortest = new Map<string, Rule>()
    for (const rule of namesOf(room).flatMap((name) => this.#byRoom.get(name) ?? [])) {
      const known = shortest.get(rule.requestedBy)
      if (!known || rule.maxMinutes < known.maxMinutes) shortest.set(rule.requestedBy, rule)
    }
    if (shortest.size === 0 && this.#byDefault) return [this.#byDefault]
    return [...shortest.values()]
  }

  /** The rule that decides for a room: of several that name it, the shortest. */
  of(room: RoomNames): Rule | undefined {
    return this.ofEach(room).sort((a, b) => a.maxMinutes - b.maxMinutes)[0]
  }
}

export const isUuid = (room: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(room)
