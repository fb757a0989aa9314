import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import type { Instruction } from '../../src/ending.ts'
import type { EventMeaning } from '../../src/events/meaning.ts'
import type { Ledger } from '../../src/storage/ledger.ts'
import type { Engine } from '../../src/storage/schema.ts'
import { TimeLimitStore } from '../../src/storage/time-limits/time-limit-store.ts'
import { onEveryEngine, open } from '../helper/engines.ts'
import { BUSY_ROOM, fill, idOf } from '../helper/fill.ts'
import { BOOKING, endCall, instruction, put, stored } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'

// These have a row for each ending, event, session or call there ever was.
const GROWING =
  /\b(endings|attempts|changes|events|subjects|idempotency_keys|sessions|session_limits|session_holds|holds|warnings)\b/

/** What is read from one end to the other, and why it may be. */
const ALLOWED: Array<[statement: RegExp, why: string]> = [
  [/count\(\*\) as "pending"/, 'a plain count of what waits, in the smallest index there is'],
  [
    /from "endings" (where "id" < \S+ )?order by "id" desc limit/,
    'a page of the whole list: its limit bounds it',
  ],
  [
    /order by "id" desc (limit \S+ )?offset|order by "id" desc limit \S+( offset)?/,
    'newest first, as far as its limit',
  ],
  [/set "retry_since" = case/, 'what is being retried, in its own index: all of it is meant'],
  [/order by "(confirm_at|warn_at|next_attempt_at)"/, 'the first of a partial index'],
]

/** The texts of all statements that are executed from now on, on either engine. */
function spied(t: Test): Map<string, unknown[]> {
  const seen = new Map<string, unknown[]>()
  const { prepare } = DatabaseSync.prototype
  DatabaseSync.prototype.prepare = function (text: string) {
    seen.set(text, [])
    return prepare.call(this, text)
  }
  const { query } = pg.Client.prototype
  // biome-ignore lint/suspicious/noExplicitAny: the driver's many forms
  ;(pg.Client.prototype as any).query = function (text: any, values: any, ...more: any[]) {
    const statement = typeof text === 'string' ? text : text?.text
    if (statement) seen.set(statement, Array.isArray(values) ? values : (text?.values ?? []))
    // biome-ignore lint/suspicious/noExplicitAny: as above
    return (query as any).call(this, text, values, ...more)
  }
  t.teardown(() => {
    DatabaseSync.prototype.prepare = prepare
    pg.Client.prototype.query = query
  })
  return seen
}

const EXPLAINABLE = /^\s*(select|insert|update|delete|with)\b/i
const SEEN = 'scans of growing tables'

onEveryEngine(t, 'no statement reads a growing table whole', async (t, url, engine) => {
  const clock = new ManualClock(1_800_000_000_000)
  const { db, ledger } = await open(t, url, clock)
  await fill(db, engine, { finished: 20_000, pending: 3_000, holds: 500 }, clock.now())
  const statements = spied(t)
  const asked = await everything(ledger, new TimeLimitStore(ledger, { db, engine }, undefined), clock)
  const texts = [...statements].filter(([text]) => EXPLAINABLE.test(text))
  t.ok(texts.length > 60, `${texts.length} statements`)
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(ledger)).filter((name) => !asked.has(name))
  t.same(
    methods.filter((name) => !/^(constructor|on[A-Z]|announce|write|startWith|clearClaims)/.test(name)),
    [],
  )
  for (const [text, values] of texts) {
    const scans = await scansOf(db, engine, text, values)
    const isAllowed = ALLOWED.some(([pattern]) => pattern.test(text))
    if (scans.length > 0 && !isAllowed) t.same(scans, [], `${SEEN}: ${text}`)
  }
})

async function scansOf(db: Parameters<typeof fill>[0], engine: Engine, text: string, values: unknown[]) {
  if (engine === 'sqlite') {
    const { rows } = await sql<{ detail: string }>`${sql.raw(`explain query plan ${text}`)}`.execute(db)
    return rows
      .map(({ detail }) => detail)
      .filter((detail) => /^SCAN /.test(detail) && GROWING.test(detail.replace(/USING.*/, '')))
  }
  const { rows } = await db.executeQuery<{ 'QUERY PLAN': string }>({
    sql: `explain ${text}`,
    parameters: values,
    query: { kind: 'RawNode' } as never,
    queryId: { queryId: 'explain' } as never,
  })
  return rows
    .map((row) => row['QUERY PLAN'])
    .filter((line) => /Seq Scan on/.test(line) && GROWING.test(line.replace(/\(.*/, '')))
}

/** Asks the ledger everything that can be asked. Returns the names of what was. */
async function everything(ledger: Ledger, limits: TimeLimitStore, clock: ManualClock): Promise<Set<string>> {
  const asked = new Set<string>()
  const spy = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(of, name) {
        asked.add(String(name))
        const value = Reflect.get(of, name, of)
        return typeof value === 'function' ? value.bind(of) : value
      },
    })
  const [l, s] = [spy(ledger), spy(limits)]
  const now = clock.now()
  const dueNow = (more: Partial<Instruction> = {}) => instruction({ dueAt: now, ...more })
  const request = { caller: 'booking', key: 'one', fingerprint: 'f' }
  const hold = { from: now, until: now + 1000 }
  for (let i = 0; i < 2; i += 1) {
    await l.store(dueNow({ key: 'k', target: { room: BUSY_ROOM }, hold }))
    await l.store(dueNow({ subject: 'account:1', warnMinutes: [1], dueAt: now + 90_000 }), request)
  }
  await Promise.all([1, 2, 3, 4, 5].map(() => l.store(dueNow())))
  const { id } = await put(l as Ledger, { dueAt: now + 9000 })
  await l.move(id, BOOKING, now + 10_000)
  await l.cancel(id, BOOKING, { ...request, key: 'two' })
  for (const filter of [
    {},
    { before: idOf(500) },
    { state: 'pending' },
    { state: 'failed' },
    { state: 'ended', reason: 'nothing' },
    { state: 'pending', dueBefore: now },
    { state: 'pending', dueAfter: now },
    { dueBefore: now - 9e9 },
    { requestedBy: 'nobody' },
    { reason: 'nothing' },
    { key: 'booking:7' },
    { subject: 'account:7' },
    { room: BUSY_ROOM },
    { room: BUSY_ROOM, state: 'pending' },
    { room: BUSY_ROOM, state: 'failed', reason: 'nothing' },
    { session: 'session-7' },
    { session: 'session-7', state: 'failed' },
  ] as const)
    await l.page({ ...filter }, 50)
  await l.list({ state: 'pending' }, 10)
  await l.find(id)
  await l.attempts(id)
  await l.changes(id)
  await l.backlog()
  await l.firstDue()
  await l.nextAttemptAt()
  const claimed = await l.claim(3, 1000)
  await l.claim(1, 1000, { retriesLast: true })
  await l.claim(1, 1000, { urgentOnly: true })
  const [first, second, third] = claimed as [never, never, never]
  await l.record(first, [endCall('ended', { session: 'session-1' })], { to: 'ended', outcome: 'ended' })
  await l.record(second, [endCall('retry')], { to: 'pending', nextAttemptAt: now + 5000, retrySince: now })
  await l.record(third, [], { to: 'failed', failure: 'gave_up' })
  await l.retry((third as { id: string }).id, BOOKING)
  await l.hastenRetries()
  await clock.advance(6000)
  await l.nextConfirmation()
  const found = await l.claimConfirmation(1000)
  if (found) await l.postponeConfirmation(found.ending.id, now)
  if (found) await l.reopen(found.ending)
  await l.sessionSeenOver('session-1')
  await l.finishedAmong([id])
  await l.control()
  await l.setControl({ name: 'refusal', since: now, until: now + 1, why: '' })
  await l.endRefusal()
  await l.callsSince(now)
  await l.prune(now - 80 * 24 * 3_600_000)
  await l.probe()
  await l.events('booking', [event('booking:new', 1), event('booking:new', 2)])
  await l.events('booking', [event('booking:new', 3)])
  const seen = (n: number) => ({
    id: `seen-${n}`,
    roomId: null,
    friendlyUrl: n % 2 ? `ruled-${n}` : `held-${n}`,
    externalId: null,
    startedAt: now,
  })
  await s.upsertRule({ room: 'ruled-1', requestedBy: 'booking', maxMinutes: 5, warnMinutes: [] }, BOOKING)
  await s.observe([seen(1), seen(2), seen(3)])
  await s.upsertRule({ room: 'ruled-1', requestedBy: 'booking', maxMinutes: 6, warnMinutes: [1] }, BOOKING)
  await s.deleteRule('ruled-3', BOOKING)
  await s.bringUpToDate()
  await s.findRule('ruled-1')
  await s.listRules(undefined, 10)
  await s.isNeeded()
  await s.isNeeded('ruled-1')
  await s.claimSweep(1000)
  const holds = await s.listHolds(undefined, 10)
  if (holds[0]) await s.liftHold(holds[0].id, BOOKING)
  const known = await s.knownSession('seen-1')
  if (!known) throw new Error('not observed')
  for (const session of [known, { id: 'session-7' }]) {
    await s.pendingFor(session)
    await s.allFor(session, 100)
  }
  await s.ruleFor(known)
  await s.holdsFor(known)
  const ending = stored(
    await l.store(dueNow({ target: { room: BUSY_ROOM }, dueAt: now + 60_000, warnMinutes: [2] })),
  )
  await s.inForce(ending)
  await s.inForce({ ...ending, target_kind: 'external' })
  await s.knownRooms(ending)
  await s.holdOfEnding(ending.id)
  await s.nextWarning()
  const marked = await s.markWarning()
  if (marked?.warning) {
    await s.roomsToWarn(marked.ending, marked.warning, ['room-1'])
    await s.finishWarning(marked.ending, marked.warning, 'sent')
  }
  await s.warningsOf(ending.id)
  return asked
}

function event(subject: string, n: number): EventMeaning {
  const target = { room: BUSY_ROOM }
  return {
    source: '/source',
    id: `${subject} ${n}`,
    type: 'booking.scheduled',
    subject,
    time: n,
    precedence: 0,
    learn: () => ({ n }),
    decide: () => ({
      withdraw: { subject: 'account:none' },
      store: [instruction({ key: subject, target, dueAt: 4e12 })],
      lift: [{ subject: 'booking:none' }, { room: target, from: 1, until: 2, subjectPrefix: 'booking:' }],
      close: [{ room: target, from: 3e12, until: 3.1e12, reason: 'x', subject }],
    }),
    mattersUntil: () => 0,
    booked: () => ({ room: target, from: 1, until: 4e12 }),
  }
}
