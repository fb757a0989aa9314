import t from 'tap'
import {
  compareLimits,
  type Decision,
  decideLimit,
  type EndingSeen,
  type Limit,
  limitInstruction,
  type Made,
} from '../../src/time-limits/limits.ts'
import { type Rule, Rules, type SeenSession } from '../../src/time-limits/rules.ts'

const START = Date.parse('2026-11-23T12:00:00Z')
const MINUTE = 60_000
const rule = (
  room: string,
  maxMinutes: number,
  requestedBy = 'booking',
  warnMinutes: number[] = [],
): Rule => ({
  room,
  requestedBy,
  maxMinutes,
  warnMinutes,
})
const session = (id: string, friendlyUrl: string): SeenSession => ({
  id,
  roomId: null,
  friendlyUrl,
  externalId: null,
  startedAt: START,
})
const made = (room: string, minutes: number, requestedBy = 'booking'): Made => ({
  session: 's1',
  requestedBy,
  endingId: 'e1',
  room,
  dueAt: START + minutes * MINUTE,
})
const limit = (one: Rule): Limit => ({ session: 's1', rule: one, dueAt: START + one.maxMinutes * MINUTE })

t.test('what is missing, and what differs, for each party', async (t) => {
  const sessions = [session('s1', 'room')]
  const both = new Rules([rule('room', 10), rule('external:x', 5, 'billing')], undefined)
  const [one] = sessions as [SeenSession]
  const compared = compareLimits([{ ...one, externalId: 'x' }], both, [made('room', 10)])
  t.strictSame(compared.differing, [], 'one is as its rule says')
  t.strictSame(compared.missing, [limit(rule('external:x', 5, 'billing'))], 'the other party has none yet')

  const longer = compareLimits(sessions, new Rules([rule('room', 20)], undefined), [made('room', 10)])
  t.strictSame(longer, {
    missing: [],
    differing: [{ made: made('room', 10), limit: limit(rule('room', 20)) }],
  })
  const gone = compareLimits(sessions, new Rules([], undefined), [made('room', 10)])
  t.strictSame(gone, { missing: [], differing: [{ made: made('room', 10), limit: undefined }] })

  const same = new Rules([rule('room', 10)], undefined)
  t.strictSame(
    compareLimits(sessions, same, [made('room', 10)], 'room').differing.length,
    1,
    'it has changed',
  )
  t.strictSame(compareLimits(sessions, same, [made('room', 10)], 'other').differing.length, 0)
})

t.test('what is to be done with the ending of a limit', async (t) => {
  const due = (minutes: number, warnMinutes: number[] = []): EndingSeen => ({
    is: 'waiting',
    dueAt: START + minutes * MINUTE,
    warnMinutes,
  })
  const twenty = limit(rule('room', 20))
  const cases: Array<[what: string, made: Made, limit: Limit | undefined, ending: EndingSeen, Decision]> = [
    [
      'a longer rule moves it',
      made('room', 10),
      twenty,
      due(10),
      { do: 'move', limit: twenty, dueAt: twenty.dueAt },
    ],
    [
      'minutes that were given stay on top',
      made('room', 10),
      twenty,
      due(13),
      { do: 'move', limit: twenty, dueAt: twenty.dueAt + 3 * MINUTE },
    ],
    [
      'minutes that were taken are not',
      made('room', 10),
      twenty,
      due(7),
      { do: 'move', limit: twenty, dueAt: twenty.dueAt },
    ],
    ['without a rule it is taken back', made('room', 10), undefined, due(10), { do: 'cancel' }],
    ['as it is', made('room', 20), twenty, due(20), { do: 'nothing' }],
    [
      'other warnings',
      made('room', 20),
      limit(rule('room', 20, 'booking', [5])),
      due(20),
      { do: 'move', limit: limit(rule('room', 20, 'booking', [5])), dueAt: twenty.dueAt },
    ],
    ['somebody has it', made('room', 10), twenty, { is: 'left' }, { do: 'nothing' }],
    [
      'it was answered 2xx, and may live on',
      made('room', 10),
      twenty,
      { is: 'unconfirmed' },
      { do: 'follow up', limit: twenty },
    ],
    [
      'and nothing limits it any more',
      made('room', 10),
      undefined,
      { is: 'unconfirmed' },
      { do: 'follow up', limit: undefined },
    ],
    ['and the rule is the same', made('room', 20), twenty, { is: 'unconfirmed' }, { do: 'nothing' }],
  ]
  for (const [what, before, now, ending, expected] of cases)
    t.strictSame(decideLimit({ made: before, limit: now }, ending), expected, what)
})

t.test('the ending that a limit asks for', async (t) => {
  t.match(limitInstruction(limit(rule('room', 20, 'booking', [5]))), {
    target: { session: 's1' },
    dueAt: START + 20 * MINUTE,
    reason: 'time_limit',
    requestedBy: 'booking',
    key: 'limit:s1',
    metadata: { rule: 'room', maxMinutes: 20 },
    warnMinutes: [5],
  })
  t.match(limitInstruction(limit(rule('', 20, 'curfew'))), { metadata: { rule: 'default' } })
})
