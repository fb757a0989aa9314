import t from 'tap'
import { problems, REQUIRED } from './cases.ts'
import { BAD } from './values.ts'

// Ajv takes what JavaScript's Number() takes for a number, and compares no infinity with a maximum.
const ODD = ['Infinity', '1e999', '0x50', '0b1010000', '8e1', '+80', '80.0', ' ', '\t', ' 80']
const NUMBERS = Object.entries(BAD)
  .filter(([, { wanted }]) => wanted.startsWith('a whole number'))
  .map(([name]) => name)
t.test('a whole number is written in digits', async (t) => {
  for (const name of NUMBERS)
    for (const value of ODD)
      t.same(
        (await problems({ ...REQUIRED, [name]: value })).map((line) => line.split(' ')[0]),
        [name],
        `${name}=${JSON.stringify(value)}`,
      )
})

t.test('a default limit is whole minutes, of which a week holds no more', async (t) => {
  for (const value of ['0m', '90s', '1ms', '169h', '999999999h'])
    t.match(await problems({ ...REQUIRED, DEFAULT_TIME_LIMIT: value }), [/^DEFAULT_TIME_LIMIT must /], value)
})

t.test('a sweep comes neither all the time nor hardly ever', async (t) => {
  for (const value of ['0s', '999ms', '2h'])
    t.match(await problems({ ...REQUIRED, SWEEP_INTERVAL: value }), [/^SWEEP_INTERVAL must /], value)
})

t.test('people are warned at different times, a day before at most', async (t) => {
  for (const value of ['10,10', '2,10,2', '1441', '9999,5'])
    t.match(await problems({ ...REQUIRED, WARN_MINUTES: value }), [/^WARN_MINUTES must /], value)
})

t.test('a grace that no timer can hold is refused', async (t) => {
  for (const value of ['600h', '999999999s', '999999999h'])
    t.match(await problems({ ...REQUIRED, SHUTDOWN_GRACE: value }), [/^SHUTDOWN_GRACE must /], value)
})

t.test('credentials that no request can carry are refused', async (t) => {
  for (const value of ['a\nkey', 'a-key\n\n'])
    t.match(
      await problems({ ...REQUIRED, DIGITAL_SAMBA_DEVELOPER_KEY: value, DIGITAL_SAMBA_AUTH: 'bearer' }),
      [/^DIGITAL_SAMBA_DEVELOPER_KEY must /],
      JSON.stringify(value),
    )
})

t.test('a ledger that is not on disk is refused', async (t) =>
  t.match(await problems({ ...REQUIRED, DATABASE_URL: 'file::memory:' }), [/^DATABASE_URL must /]),
)
