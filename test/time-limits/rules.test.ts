import fc from 'fast-check'
import t from 'tap'
import { isUuid, namesOf, type RoomNames, type Rule, Rules } from '../../src/time-limits/rules.ts'

const UUID = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'
const OTHER = '01234567-89ab-cdef-0123-456789abcdef'
const rule = (room: string, maxMinutes: number, requestedBy = 'booking'): Rule => ({
  room,
  requestedBy,
  maxMinutes,
  warnMinutes: undefined,
})
const room: RoomNames = { roomId: UUID, friendlyUrl: 'room', externalId: 'Raum ü' }
const BY_DEFAULT = rule('', 60, 'curfew')

t.test('the rule of a room is the shortest that names it, and the default where none does', async (t) => {
  const cases: [what: string, rules: Rule[], room: RoomNames, found: Rule | undefined][] = [
    ['none', [], room, undefined],
    ['of another room', [rule('other', 1), rule(OTHER, 1), rule('external:other', 1)], room, undefined],
    ['its UUID', [rule(UUID, 5)], room, rule(UUID, 5)],
    ['its UUID in capitals', [rule(UUID, 5)], { ...room, roomId: UUID.toUpperCase() }, rule(UUID, 5)],
    ['its friendly URL', [rule('room', 5)], room, rule('room', 5)],
    ['its friendly URL has case', [rule('ROOM', 5)], room, undefined],
    ['its external id', [rule('external:Raum ü', 5)], room, rule('external:Raum ü', 5)],
    ['an external id is no friendly URL', [rule('external:room', 5), rule('Raum ü', 5)], room, undefined],
    [
      'the shortest',
      [rule(UUID, 7), rule('external:Raum ü', 5), rule('room', 6)],
      room,
      rule('external:Raum ü', 5),
    ],
    [
      'of two as short the UUID',
      [rule('external:Raum ü', 5), rule('room', 5), rule(UUID, 5)],
      room,
      rule(UUID, 5),
    ],
    ['and then the friendly URL', [rule('external:Raum ü', 5), rule('room', 5)], room, rule('room', 5)],
    ['without names', [rule(UUID, 5)], { roomId: null, friendlyUrl: null, externalId: null }, undefined],
  ]
  for (const [what, rules, names, found] of cases) {
    t.same(new Rules(rules, undefined).of(names), found, what)
    t.same(new Rules(rules, BY_DEFAULT).of(names), found ?? BY_DEFAULT, `${what}, with a default`)
  }
  t.same(new Rules([rule('room', 90)], BY_DEFAULT).of(room), rule('room', 90), 'also where it is longer')
})

t.test(
  'each party that names a room has its own rule for it, the default only where none does',
  async (t) => {
    const mine = [rule(UUID, 7), rule('room', 5), rule('external:Raum ü', 6)]
    const theirs = [rule('external:Raum ü', 90, 'billing')]
    const all = new Rules([...mine.slice(0, 2), ...theirs], BY_DEFAULT)
    t.same(all.ofEach(room), [mine[1], theirs[0]])
    t.same(all.of(room), mine[1])
    t.same(new Rules(theirs, BY_DEFAULT).ofEach(room), theirs)
    t.same(new Rules(theirs, BY_DEFAULT).ofEach({ ...room, externalId: null }), [BY_DEFAULT])
    t.same(new Rules([], undefined).ofEach(room), [])
  },
)

t.test('a UUID is told from the other names of a room', async (t) => {
  t.same([UUID, OTHER, `external:${UUID}`, 'room', UUID.toUpperCase()].map(isUuid), [
    true,
    true,
    false,
    false,
    false,
  ])
})

const names = fc.record({
  roomId: fc.option(fc.constantFrom(UUID, OTHER)),
  friendlyUrl: fc.option(fc.constantFrom('room', 'other')),
  externalId: fc.option(fc.constantFrom('room', 'a b')),
})
const rules = fc.uniqueArray(
  fc
    .tuple(
      fc.constantFrom(UUID, OTHER, 'room', 'other', 'external:room', 'external:a b'),
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom('booking', 'billing'),
    )
    .map(([name, minutes, party]) => rule(name, minutes, party)),
  { selector: ({ room }) => room },
)

t.test('whatever rules there are, and in whatever order', async (t) => {
  fc.assert(
    fc.property(rules, names, fc.boolean(), (some, room, hasDefault) => {
      const byDefault = hasDefault ? BY_DEFAULT : undefined
      const all = new Rules(some, byDefault)
      const found = all.of(room)
      const naming = some.filter((rule) => namesOf(room).includes(rule.room))
      const shortest = Math.min(...naming.map(({ maxMinutes }) => maxMinutes))
      if (naming.length === 0) return found === byDefault
      const same = new Rules(some.toReversed(), byDefault).of(room)
      const parties = new Set(naming.map(({ requestedBy }) => requestedBy))
      const each = all.ofEach(room)
      const isEach =
        each.length === parties.size &&
        each.every(({ requestedBy: by, maxMinutes }) =>
          naming.every((other) => other.requestedBy !== by || other.maxMinutes >= maxMinutes),
        )
      return found?.maxMinutes === shortest && same === found && naming.includes(found) && isEach
    }),
  )
  t.pass('the shortest that names it')
})
