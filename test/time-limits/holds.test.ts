import t from 'tap'
import { type HeldRoom, holdsOn, sessionsToEnd, successor } from '../../src/time-limits/holds.ts'
import { concernedAmong } from '../../src/time-limits/observe.ts'
import { Rules, type SeenSession } from '../../src/time-limits/rules.ts'

const NOON = Date.parse('2026-11-23T12:00:00Z')
const hold = (id: string, name: string, requestedBy = 'booking', from = NOON): HeldRoom => ({
  id,
  name,
  from,
  requestedBy,
  subject: `booking:${id}`,
  endingId: `ending of ${id}`,
})
const session = (startedAt: number, names: Partial<SeenSession> = { friendlyUrl: 'room' }): SeenSession => ({
  id: 's1',
  roomId: null,
  friendlyUrl: null,
  externalId: null,
  startedAt,
  ...names,
})

t.test('a session is under the holds of its room that it has begun under, one of each party', async (t) => {
  const ids = (holds: HeldRoom[], one: SeenSession) => holdsOn(holds, one).map(({ id }) => id)
  t.strictSame(ids([hold('a', 'room')], session(NOON)), ['a'])
  t.strictSame(ids([hold('a', 'room')], session(NOON - 999)), ['a'], 'starts are told in whole seconds')
  t.strictSame(ids([hold('a', 'room')], session(NOON - 1000)), [], 'what began before is left alone')
  t.strictSame(ids([hold('a', 'other')], session(NOON)), [])
  t.strictSame(ids([hold('a', 'external:x')], session(NOON, { externalId: 'x' })), ['a'])
  t.strictSame(
    ids([hold('a', 'x')], session(NOON, { externalId: 'x' })),
    [],
    'an external id is no friendly URL',
  )
  const two = [hold('a', 'room'), hold('b', 'room'), hold('c', 'room', 'billing')]
  t.strictSame(ids(two, session(NOON)), ['a', 'c'])
})

t.test('each party ends a session in a held room once', async (t) => {
  const holds = [hold('a', 'room'), hold('c', 'room', 'billing')]
  const isKnown = (id: string, party: string) => id === 's1' && party === 'billing'
  const [only, ...others] = sessionsToEnd([session(NOON + 5000)], holds, isKnown, NOON + 6000)
  t.strictSame(others, [])
  t.match(only, {
    session: 's1',
    hold: { id: 'a' },
    instruction: {
      target: { session: 's1' },
      dueAt: NOON + 6000,
      reason: 'room_held',
      requestedBy: 'booking',
      key: 'held:s1',
      subject: 'booking:a',
      metadata: { hold: 'a', ending: 'ending of a' },
    },
  })
  t.strictSame(
    sessionsToEnd([session(NOON - 5000)], holds, () => false, NOON),
    [],
  )
})

t.test('where a hold is lifted, another of the same party stands for it', async (t) => {
  const left = [hold('b', 'room'), hold('c', 'room', 'billing')]
  t.equal(successor(left, session(NOON), 'booking')?.id, 'b')
  t.equal(successor(left.slice(1), session(NOON), 'booking'), undefined)
})

t.test('only sessions that are somebody’s business are remembered', async (t) => {
  const rules = new Rules(
    [{ room: 'ruled', requestedBy: 'booking', maxMinutes: 5, warnMinutes: undefined }],
    undefined,
  )
  const all = ['ruled', 'room', 'free', 'known'].map((name) => ({
    ...session(NOON, { friendlyUrl: name }),
    id: name,
  }))
  const found = concernedAmong(all, rules, [hold('a', 'room')], new Set(['known']))
  t.strictSame(
    found.map(({ id }) => id),
    ['ruled', 'room', 'known'],
  )
})
