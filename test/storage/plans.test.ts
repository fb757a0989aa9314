import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import type { Instruction } from '../../src/ending.ts'
import type { KnownEvent } from '../../src/events/fold.ts'
import { translate } from '../../src/events/index.ts'
import { nameOfStatement } from '../../src/storage/engine/compiled.ts'
import { Ledger } from '../../src/storage/ledger.ts'
import { changeMany } from '../../src/storage/many-store.ts'
import { NotificationStore } from '../../src/storage/notifications/notification-store.ts'
import type { Db, Engine } from '../../src/storage/schema.ts'
import { TimeLimitStore } from '../../src/storage/time-limits/time-limit-store.ts'
import { onEveryEngine, open } from '../helper/engines.ts'
import { BUSY_ROOM, fill, idOf } from '../helper/fill.ts'
import { BOOKING, endCall, instruction, put, stored } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'

// These have a row for each ending, event, session, call or minute there ever was.
const GROWING =
  /\b(endings|attempts|changes|events|subjects|idempotency_keys|sessions|session_limits|session_holds|holds|warnings|notifications|notification_tries|statistics)\b/

/** What is read from one end to the other, and why it may be. */
const ALLOWED: Array<[statement: RegExp, why: string]> = [
  [
    /select 1 as "one" from "endings" where "state" = 'pending' limit/,
    'a count of what waits, as far as its limit',
  ],
  [
    /from "endings" (where "id" < \S+ )?order by "id" desc limit/,
    'a page of the whole list: its limit bounds it',
  ],
  [
    /order by "id" desc (limit \S+ )?offset|order by "id" desc limit \S+( offset)?/,
    'newest first, as far as its limit',
  ],
  [
    /select 1 as "one" from "notifications" where "state" = '(pending|failed)' limit/,
    'a count of what was not told, as far as its limit',
  ],
  [
    /update "notifications" set "claimed_until" = \S+ where "claimed_until" is not null/,
    'four of each caller',
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
  const database = await open(t, url, clock)
  const { db } = database
  const ledger = new Ledger(database, { told: new Set(['booking', 'billing']) })
  await fill(db, engine, { finished: 20_000, pending: 3_000, holds: 500 }, clock.now())
  const statements = spied(t)
  const asked = await everything(ledger, new TimeLimitStore(ledger, { db, engine }, undefined), clock)
  const notifications = new NotificationStore(ledger)
  for (const name of await everythingTold(notifications, ledger, clock)) asked.add(name)
  const texts = [...statements].filter(([text]) => EXPLAINABLE.test(text))
  t.ok(texts.length > 60, `${texts.length} statements`)
  const methods = [ledger, notifications]
    .flatMap((door) => Object.getOwnPropertyNames(Object.getPrototypeOf(door)))
    .filter((name) => !asked.has(name))
  t.same(
    methods.filter(
      (name) =>
        !/^(constructor|on[A-Z]|announce|write|read|addAside|isShared|startWith|clearClaims)/.test(name),
    ),
    [],
  )
  for (const [text, values] of texts) {
    const scans = await scansOf(db, engine, text, values)
    // What has a name is planned before its values are known, and that plan is kept.
    if (nameOfStatement(text)) scans.push(...(await scansOf(db, engine, text)))
    const isAllowed = ALLOWED.some(([pattern]) => pattern.test(text))
    if (scans.length > 0 && !isAllowed) t.same(scans, [], `${SEEN}: ${text}`)
  }
})

/** Without `values`, as it is planned for any. */
async function scansOf(db: Db, engine: Engine, text: string, values?: unknown[]): Promise<string[]> {
  if (engine === 'sqlite') {
    const { rows } = await sql<{ detail: string }>`${sql.raw(`explain query plan ${text}`)}`.execute(db)
    return rows
      .map(({ detail }) => detail)
      .filter((detail) => /^SCAN /.test(detail) && GROWING.test(detail.replace(/USING.*/, '')))
  }
  const { rows } = await db.executeQuery<{ 'QUERY PLAN': string }>({
    sql: `explain ${values ? '' : '(generic_plan)'} ${text}`,
    parameters: values ?? [],
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
  for (const filter of [{}, { requestedBy: 'booking' }, { room: BUSY_ROOM }, { session: 'session-7' }]) {
    await l.upcoming(filter, 50)
    await l.upcoming({ ...filter, dueBefore: now + 1000 }, 50, { dueAt: now - 500, id: idOf(500) })
  }
  const operator = { name: 'ops', operator: true }
  for (const [change, filter] of [
    ['cancel', { reason: 'nothing' }],
    ['cancel', { subject: 'account:1' }],
    ['retry', { reason: 'nothing' }],
    ['retry', { failure: 'gave_up', requestedBy: 'billing' }],
  ] as const)
    for (const isRehearsal of [true, false])
      await changeMany(l as Ledger, { change, filter, caller: operator, isRehearsal, onChanged: () => {} })
  await l.pauses()
  await l.pause({ caller: '', paused_by: 'ops', reason: 'why' })
  await l.isCalling('', 61_000)
  await l.resume('')
  await l.pause({ caller: 'billing', paused_by: 'ops', reason: 'why' })
  await l.isCalling('billing', 61_000)
  await l.firstDue(['billing'])
  await l.nextAttemptAt(['billing'])
  await l.nextAttemptAt(['billing', 'booking', 'desk', 'curfew'])
  await l.claim(1, 1, { paused: ['billing'] })
  await l.resume('billing')
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
  await l.renew([{ id: (first as { id: string }).id, claim: 1 }], now + 1000)
  await l.retry((third as { id: string }).id, BOOKING)
  await l.hastenRetries()
  await clock.advance(6000)
  await l.nextConfirmation()
  const [found] = await l.claimConfirmations(2, 1000)
  if (found) await l.postponeConfirmation(found.ending.id, now)
  if (found) await l.reopen(found.ending)
  await l.sessionSeenOver('session-1')
  await l.finishedAmong([id])
  for (const step of ['minute', 'hour', 'day'] as const) await l.statistics(step, now - 2 * HOUR_MS, now)
  await l.control()
  await l.setControl({ name: 'refusal', since: now, until: now + 1, why: '' })
  await l.takeProbe(now + 60_000)
  await l.endRefusal()
  const permits = await l.permits({ call: 900, urgent: 45, other: 90, sweep: 72 })
  const { slots } = await permits.take('call', 2, now + 61_000)
  await permits.giveBack('call', slots, now + 61_000)
  await permits.settle([{ kind: 'call', slot: 0, until: now + 61_000, freeAt: now }])
  await permits.taken('call', 100)
  await permits.mend(now + 62_000)
  await l.claimPruning(3_600_000)
  await l.prune(now - 80 * 24 * 3_600_000)
  await l.probe()
  for (const event of events(now)) await l.events('booking', [event])
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

/** Asks the outbox everything that can be asked. Returns the names of what was. */
async function everythingTold(
  store: NotificationStore,
  ledger: Ledger,
  clock: ManualClock,
): Promise<Set<string>> {
  const asked = new Set<string>()
  const n = new Proxy(store, {
    get(of, name) {
      asked.add(String(name))
      const value = Reflect.get(of, name, of)
      return typeof value === 'function' ? value.bind(of) : value
    },
  })
  const operator = { name: 'ops', operator: true }
  for (let i = 0; i < 3; i += 1) {
    const { id } = await put(ledger, { dueAt: clock.now() + 9e6 })
    await ledger.cancel(id, operator)
  }
  await n.prepare(['booking', 'billing'])
  for (const filter of [
    {},
    { before: idOf(500) },
    { state: 'pending' },
    { state: 'failed' },
    { state: 'failed', caller: 'billing' },
    { state: 'told', type: 'reopened' },
    { caller: 'booking' },
    { caller: 'nobody' },
    { ending: idOf(700) },
    { type: 'reopened' },
  ] as const)
    await n.page({ ...filter }, 50)
  await n.counts()
  await n.nextDue('booking')
  const holding = { caller: 'booking', holder: 'a', until: clock.now() + 15_000 }
  await n.hold(holding)
  await n.hold({ ...holding, holder: 'b' })
  const [first, second] = (await n.due('booking', 32)) as [never, never]
  const tried = { started_at: clock.now(), duration_ms: 1, status: 500, error: 'answered 500', answer: '' }
  await Promise.all([
    n.settle({ notification: first, tried, to: { state: 'pending', nextAttemptAt: clock.now() + 1 } }),
    n.settle({ notification: second, tried: { ...tried, error: null }, to: { state: 'told' } }),
  ])
  await n.noteFailure('booking', 'answered 500')
  await n.noteSuccess('booking')
  await n.letGo(holding)
  await n.failing()
  const { id, ending_id } = first as { id: string; ending_id: string }
  await n.find(id)
  await n.tries(id)
  await n.ofEnding(ending_id)
  await n.retry(id, operator)
  for (const isRehearsal of [true, false]) {
    await n.retryMany({ caller: 'billing' }, isRehearsal)
    await n.retryMany({ type: 'reopened', state: 'failed' }, isRehearsal)
  }
  return asked
}

/** What several families of events read and write, one after the other. */
function events(now: number): KnownEvent[] {
  const ends = { startsAt: iso(now + HOUR_MS), endsAt: iso(now + 2 * HOUR_MS) }
  const contents: Array<[type: string, data: object]> = [
    ['booking.scheduled', { bookingId: 'new', roomId: BUSY_ROOM, ...ends }],
    ['booking.scheduled', { bookingId: 'new', roomId: BUSY_ROOM, ...ends }],
    ['booking.cancelled', { bookingId: 'new' }],
    ['billing.suspended', { account: 'new', targets: [{ roomId: BUSY_ROOM }] }],
    ['billing.resumed', { account: 'new' }],
    ['time_limit.reached', { sessionId: '01234567-89ab-cdef-0123-456789abcdef' }],
  ]
  const setting = { sender: 'booking', now, bookingGraceMs: 0, maxTargets: 10 }
  return contents.map(([type, data], i) => {
    const translation = translate({ specversion: '1.0', source: '/source', id: `${i}`, type, data }, setting)
    if (translation.kind !== 'known') throw new Error(JSON.stringify(translation))
    return translation.event
  })
}

const HOUR_MS = 3_600_000
const iso = (at: number) => new Date(at).toISOString()
