import type { Call, Session } from '../../src/sandbox/sandbox.ts'
import type { AttemptRow, Db, EndingRow, HoldRow, SessionRow, WarningRow } from '../../src/storage/schema.ts'
import { type AskedHold, namesOf } from './asked.ts'
import { type Stage, time } from './stage.ts'

interface Rows {
  endings: Map<string, EndingRow>
  attempts: AttemptRow[]
  warnings: WarningRow[]
  holds: Map<string, HoldRow>
  sessions: Map<string, SessionRow>
}

export async function readLedger(db: Db): Promise<Rows> {
  const byId = <T extends { id: string }>(rows: T[]) => new Map(rows.map((row) => [row.id, row]))
  return {
    endings: byId(await db.selectFrom('endings').selectAll().orderBy('id').execute()),
    attempts: await db.selectFrom('attempts').selectAll().orderBy('started_at').execute(),
    warnings: await db.selectFrom('warnings').selectAll().orderBy('marked_at').execute(),
    holds: byId(await db.selectFrom('holds').selectAll().execute()),
    sessions: byId(await db.selectFrom('sessions').selectAll().execute()),
  }
}

/** At the end: does the ledger say of every call why it was made, and nothing else? Returns what is wrong. */
export class Verdict {
  readonly #stage: Stage
  readonly #rows: Rows
  readonly #deaths: number[]
  readonly faults: Array<{ session?: Session | undefined; what: string }> = []

  constructor(stage: Stage, rows: Rows, deaths: number[]) {
    this.#stage = stage
    this.#rows = rows
    this.#deaths = deaths
    const calls = stage.sandbox.calls.filter(({ operation }) => operation === 'end')
    for (const call of calls) this.#everyCallHasACause(call)
    for (const ending of rows.endings.values()) this.#everyEndingWasAskedFor(ending)
    this.#noWarningTwice()
  }

  #everyCallHasACause(call: Call): void {
    const session = this.#stage.sandbox.session(call.session as string) as Session
    const rows = this.#rows.attempts.filter(
      (row) => row.session === call.session && row.started_at === call.at,
    )
    if (rows.length === 0 && !this.#deaths.includes(call.at))
      this.#fault(session, `the ledger knows nothing of the end call at ${time(call.at)}`)
    for (const { ending_id: id, result } of rows) {
      const ending = this.#rows.endings.get(id)
      if (!ending)
        this.#fault(session, `the attempt at ${time(call.at)} is of an ending ${id} that is unknown`)
      else if (result === 'ended' && ending.reopened === 0 && ending.due_at > call.at)
        this.#fault(session, `the call at ${time(call.at)} is of ${id}, due ${time(ending.due_at)}`)
    }
  }

  #everyEndingWasAskedFor(ending: EndingRow): void {
    const { id, state, due_at: dueAt, failure, target_id: target } = ending
    const session = this.#stage.sandbox.session(target)
    if (state === 'failed') this.#fault(session, `ending ${id} of ${target} failed: ${failure}`)
    if (state === 'pending' && dueAt < this.#stage.now - 1000)
      this.#fault(session, `ending ${id} of ${target} was due ${time(dueAt)} and is pending`)
    const isAsked = this.#stage.asked.endings.has(id) || this.#isOfARule(ending) || this.#isOfAHold(ending)
    if (!isAsked) this.#fault(session, `nobody asked for ending ${id} of ${target} (${ending.reason})`)
  }

  /** When it was called is the judge's; here: whose it is, and that the session was under a rule. */
  #isOfARule({ reason, key, requested_by: by, target_id: target }: EndingRow): boolean {
    return reason === 'time_limit' && (key === null || key === `limit:${target}`) && by !== 'curfew'
  }

  /** Made while the hold was in force, for a session that began under it. */
  #isOfAHold({ reason, metadata, created_at: createdAt, target_id: target }: EndingRow): boolean {
    const row = this.#rows.holds.get(JSON.parse(metadata).hold)
    const session = this.#stage.sandbox.session(target)
    if (reason !== 'room_held' || !row || !session) return false
    return this.#stage.asked.holds.some((hold) => isThat(hold, row) && isUnder(session, hold, createdAt))
  }

  /** Each message into a chat is one warning that is marked, for an ending that is about its room. */
  #noWarningTwice(): void {
    const left = new Map<string, number>()
    const key = (room: string, at: number) => `${room} ${at}`
    for (const { ending_id, marked_at, due_at } of this.#rows.warnings) {
      const room = this.#roomOf(this.#rows.endings.get(ending_id) as EndingRow)
      if (room) left.set(key(room, marked_at), (left.get(key(room, marked_at)) ?? 0) + 1)
      if (marked_at > due_at) this.#fault(undefined, `a warning of ${ending_id} after its time`)
    }
    for (const { room, at, message, session } of this.#stage.sandbox.chat) {
      const known = [...left.keys()].filter((name) => name.startsWith(room) && (left.get(name) as number) > 0)
      const marked = known.find((name) => Number(name.split(' ')[1]) <= at)
      if (marked) left.set(marked, (left.get(marked) as number) - 1)
      else this.#fault(this.#stage.sandbox.session(session), `"${message}" at ${time(at)} is no warning`)
    }
  }

  #roomOf({ target_kind: kind, target_id: id }: EndingRow): string | undefined {
    if (kind === 'session') return this.#stage.sandbox.session(id)?.room.id
    const name = kind === 'room' ? id : `external:${id}`
    return this.#stage.rooms.find((room) => namesOf(room).includes(name))?.id
  }

  #fault(session: Session | undefined, what: string): void {
    this.faults.push({ session, what })
  }

  /** What the ledger and Digital Samba tell of a session. */
  story(session: Session): string[] {
    const { endings, attempts, warnings, sessions } = this.#rows
    const { id, room, startTime, endTime } = session
    const names = namesOf(room)
    const mine = [...endings.values()].filter(
      ({ target_kind: kind, target_id: target, due_at }) =>
        target === id ||
        (names.includes(kind === 'external' ? `external:${target}` : target) &&
          due_at > startTime - 3_600_000),
    )
    return [
      `session ${id} in ${names.join(' = ')} from ${time(startTime)} to ${time(endTime)}`,
      ...this.#stage
        .notes(room, startTime - 3_600_000, (endTime ?? this.#stage.now) + 60_000)
        .map((line) => `  ${line}`),
      `  known: ${JSON.stringify(sessions.get(id))}`,
      ...mine.map(
        (row) =>
          `  ending: ${JSON.stringify({ ...row, created: time(row.created_at), due: time(row.due_at) })}`,
      ),
      ...attempts.filter((row) => row.session === id).map((row) => `  attempt: ${JSON.stringify(row)}`),
      ...warnings
        .filter((row) => mine.some((other) => other.id === row.ending_id))
        .map((row) => `  warning: ${JSON.stringify(row)}`),
      ...this.#stage
        .calls(session)
        .map((call) => `  call: ${time(call.at)} ${call.operation} ${call.status}`),
    ]
  }
}

function isThat(hold: AskedHold, row: HoldRow): boolean {
  const room = row.room_kind === 'external' ? `external:${row.room}` : row.room
  return hold.room === room && hold.by === row.requested_by && hold.until === row.until_at
}

function isUnder(session: Session, hold: AskedHold, at: number): boolean {
  const ends = Math.min(hold.until ?? Number.POSITIVE_INFINITY, hold.liftedAt ?? Number.POSITIVE_INFINITY)
  // What happens within one millisecond happens in some order.
  return at >= hold.from && at <= ends && session.startTime >= Math.floor(hold.from / 1000) * 1000
}
