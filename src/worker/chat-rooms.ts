import type { Clock } from '../clock.ts'
import type { CallContext, DigitalSamba } from '../digital-samba/client.ts'
import { NotFoundError } from '../digital-samba/errors.ts'
import { roomId } from '../ending.ts'
import type { EndingRow } from '../storage/schema.ts'
import type { TimeLimitStore } from '../storage/time-limits/time-limit-store.ts'
import { isUuid } from '../time-limits/rules.ts'
import type { SharedListing } from './listing.ts'

export interface ChatRoomsOptions {
  clock: Clock
  digitalSamba: DigitalSamba
  limits: TimeLimitStore
  listing: SharedListing
}

// What was seen may be out of date by then; an ending that is moved again and again is not looked up each time.
const REMEMBERED_MS = 30_000
const MOST_REMEMBERED = 1000

/** Into which rooms (UUIDs) the people have to be told of an ending: those of the live sessions that it is about. */
export class ChatRooms {
  readonly #options: ChatRoomsOptions
  readonly #seen = new Map<string, { at: number; rooms: string[] }>()

  constructor(options: ChatRoomsOptions) {
    this.#options = options
  }

  /** None where nobody is there. */
  async of(ending: EndingRow, context: CallContext): Promise<string[]> {
    const { target_kind: kind, target_id: id } = ending
    if (kind === 'room' && isUuid(roomId(id))) return [roomId(id)]
    const known = await this.#options.limits.knownRooms(ending)
    if (known.length > 0) return unique(known)
    const name = `${kind} ${id}`
    const seen = this.#remembered(name)
    if (seen) return seen
    const rooms = unique(await this.#lookUp(ending, context))
    this.#remember(name, rooms)
    return rooms
  }

  async #lookUp({ target_kind: kind, target_id: id }: EndingRow, context: CallContext): Promise<string[]> {
    const { clock, digitalSamba, listing } = this.#options
    if (kind === 'external') {
      const all = () => digitalSamba.liveSessions(undefined, context)
      const live = await listing.sessions(id, clock.now() - REMEMBERED_MS, all)
      return live.flatMap((session) => session.roomId ?? [])
    }
    if (kind === 'session') {
      const found = await digitalSamba.session(id, context).catch(nobodyThere)
      return found !== false && found.live && found.roomId !== null ? [found.roomId] : []
    }
    const first = await digitalSamba.liveSessions(id, context).next().catch(nobodyThere)
    return first === false || first.done ? [] : first.value.flatMap((session) => session.roomId ?? [])
  }

  #remembered(name: string): string[] | undefined {
    const seen = this.#seen.get(name)
    return seen && seen.at > this.#options.clock.now() - REMEMBERED_MS ? seen.rooms : undefined
  }

  #remember(name: string, rooms: string[]): void {
    this.#seen.delete(name)
    this.#seen.set(name, { at: this.#options.clock.now(), rooms })
    const [oldest] = this.#seen.keys()
    if (this.#seen.size > MOST_REMEMBERED && oldest !== undefined) this.#seen.delete(oldest)
  }
}

const unique = (rooms: string[]) => [...new Set(rooms.map(roomId))]

export function nobodyThere(error: unknown): false {
  if (error instanceof NotFoundError) return false
  throw error
}
