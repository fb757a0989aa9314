import fc from 'fast-check'
import t from 'tap'
import { isUuid, namesOf, type RoomNames, type Rule, Rules } from '../../src/time-limits/rules.ts'

const UUID = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'
const OTHER = '01234567-89ab-cdef-0123-456789abcdef'
const rule = (room: string, maxMinutes: number, owner = 'booking'): Rule => ({
  room,
  owner,
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

t.test('whether a session has to be looked up is decided by what could name its room', async (t) => {
  const cases: [what: string, rules: Rule[], byDefault: Rule | undefined, may: boolean][] = [
    ['no rules', [], undefined, false],
    ['a default', [], BY_DEFAULT, true],
    ['its UUID', [rule(UUID, 5)], undefined, true],
    ['another UUID', [rule(OTHER, 5)], undefined, false],
    ['a friendly URL, which may be its own', [rule(OTHER, 5), rule('room', 5)], undefined, true],
    ['an external id', [rule('external:x', 5)], undefined, true],
    ['an external id that is a UUID', [rule(`external:${OTHER}`, 5)], undefined, true],
  ]
  for (const [what, rules, byDefault, may] of cases) {
    t.equal(new Rules(rules, byDefault).mayName(UUID), may, what)
    t.equal(new Rules(rules, byDefault).mayName(UUID.toUpperCase()), may, `${what}, in capitals`)
    t.equal(new Rules(rules, byDefault).any, rules.length > 0 || byDefault !== undefined)
  }
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
    )
    .map(([name, minutes]) => rule(name, minutes)),
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
      const isKnown = room.roomId === null || all.mayName(room.roomId)
      return found?.maxMinutes === shortest && same === found && naming.includes(found) && isKnown
    }),
  )
  t.pass('the shortest that names it')
})
