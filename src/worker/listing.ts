import type { Clock } from '../clock.ts'
import type { ListedSession } from '../digital-samba/answers.ts'

interface Listing {
  begunAt: number
  sessions: Promise<ByExternalId>
}

/** Live sessions by the external id of their room; rooms without one are left out. */
type ByExternalId = Map<string, ListedSession[]>

// Long enough for a crowd that came due together to go through the budget, short enough not to keep memory.
const KEPT_MS = 30_000

/**
 * Digital Samba finds a session by its room's external id only by listing all of them, so endings that come due
 * together share one listing. It serves an ending only if it began when that one was already due.
 */
export class SharedListing {
  readonly #clock: Clock
  #latest: Listing | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The sessions in rooms with that external id, from a listing begun at `notBefore` (epoch ms) or later. */
  async sessions(externalId: string, notBefore: number, list: () => AsyncGenerator<ListedSession[]>) {
    const oldest = Math.max(notBefore, this.#clock.now() - KEPT_MS)
    const listing = this.#latest && this.#latest.begunAt >= oldest ? this.#latest : this.#begin(list)
    return (await listing.sessions).get(externalId) ?? []
  }

  #begin(list: () => AsyncGenerator<ListedSession[]>): Listing {
    const latest = { begunAt: this.#clock.now(), sessions: collect(list()) }
    this.#latest = latest
    // One that failed serves those who wait for it with its error, and nobody after them.
    latest.sessions.catch(() => {
      if (this.#latest === latest) this.#latest = undefined
    })
    return latest
  }
}

async function collect(pages: AsyncGenerator<ListedSession[]>): Promise<ByExternalId> {
  const found: ByExternalId = new Map()
  for await (const page of pages) {
    for (const session of page) {
      if (session.externalId === null) continue
      const known = found.get(session.externalId)
      if (known) known.push(session)
      else found.set(session.externalId, [session])
    }
  }
  return found
}
