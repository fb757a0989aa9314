/** What a list has to know of a session. */
export interface Listed {
  readonly startTime: number
  readonly sequence: number
  live: boolean
}

export interface PageQuery<S extends Listed> {
  limit: number
  offset: number
  order: 'asc' | 'desc'
  live?: boolean
  /** Only what comes after this session in the given order, whether or not it still matches the other filters. */
  after?: S
  /** Epoch ms, inclusive. */
  startedFrom?: number
  /** Epoch ms, exclusive. */
  startedBefore?: number
}

export interface SessionPage<S extends Listed> {
  /** All that match the filters, not only this page. */
  total: number
  sessions: S[]
}

type Position = Pick<Listed, 'startTime' | 'sequence'>

/** Sessions kept in the order of their listing, so that neither an end nor a page has to walk through all of them. */
export class SessionList<S extends Listed> {
  readonly #all: S[] = []
  readonly #live: S[] = []

  all(): readonly S[] {
    return this.#all
  }

  live(): readonly S[] {
    return this.#live
  }

  add(session: S): void {
    insert(this.#all, session)
    if (session.live) insert(this.#live, session)
  }

  ended(session: S): void {
    const index = firstNotBefore(this.#live, session)
    if (this.#live[index] === session) this.#live.splice(index, 1)
  }

  page(query: PageQuery<S>): SessionPage<S> {
    const matching = this.#matching(query.live)
    const from = query.startedFrom === undefined ? 0 : firstStarted(matching, query.startedFrom)
    const to =
      query.startedBefore === undefined ? matching.length : firstStarted(matching, query.startedBefore)
    const [low, high] = query.after ? behind(matching, query.after, query.order, from, to) : [from, to]
    const sessions =
      query.order === 'asc'
        ? matching.slice(low + query.offset, Math.min(low + query.offset + query.limit, high))
        : matching
            .slice(Math.max(low, high - query.offset - query.limit), Math.max(low, high - query.offset))
            .reverse()
    return { total: Math.max(0, to - from), sessions }
  }

  #matching(live: boolean | undefined): readonly S[] {
    if (live === undefined) return this.#all
    return live ? this.#live : this.#all.filter((session) => !session.live)
  }
}

function behind(
  list: readonly Position[],
  after: Position,
  order: 'asc' | 'desc',
  from: number,
  to: number,
): [number, number] {
  if (order === 'desc') return [from, Math.min(to, firstNotBefore(list, after))]
  return [Math.max(from, firstNotBefore(list, { ...after, sequence: after.sequence + 1 })), to]
}

function firstStarted(list: readonly Position[], at: number): number {
  return firstNotBefore(list, { startTime: at, sequence: -1 })
}

function insert<S extends Position>(list: S[], session: S): void {
  list.splice(firstNotBefore(list, session), 0, session)
}

function firstNotBefore(list: readonly Position[], position: Position): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(list[middle] as Position, position)) low = middle + 1
    else high = middle
  }
  return low
}

function isBefore(a: Position, b: Position): boolean {
  return a.startTime === b.startTime ? a.sequence < b.sequence : a.startTime < b.startTime
}
