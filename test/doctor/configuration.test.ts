import t from 'tap'
import { practice } from './consult.ts'

t.jobs = 2
const AT_ONCE = { buffered: true }

t.test(
  'every variable that is not right, by its name, and what can be looked at without it',
  AT_ONCE,
  async (t) => {
    const { consult } = await practice(t)
    const { code, of } = await consult({
      env: { PORT: 'x', API_KEYS: 'sEcReT', READ_KEYS: `ops:${'sEcReT-'.repeat(4)}`, RETRY_FOR: 'soon' },
    })
    t.equal(code, 1)
    t.match(
      of('configuration').map((line) => line.split(' ').slice(0, 2).join(' ')),
      ['wrong: PORT', 'wrong: API_KEYS', 'wrong: RETRY_FOR', 'wrong: READ_KEYS'],
    )
    t.match(of('database')[0], /^ok/)
    t.match(of('digital-samba')[1], /^ok/)
  },
)

t.test('nothing is set', AT_ONCE, async (t) => {
  const { consult, sandbox } = await practice(t)
  const nothing = { DIGITAL_SAMBA_TEAM_ID: '', DIGITAL_SAMBA_DEVELOPER_KEY: '', API_KEYS: '' }
  const { code, of, verdicts } = await consult({ env: nothing })
  t.equal(code, 1)
  t.same(verdicts('configuration'), ['wrong', 'wrong', 'wrong'])
  t.match(of('digital-samba'), [/^skipped: not looked at: its variables have to be right first/])
  t.match(of('webhook'), [/^skipped/])
  t.same(sandbox.calls, [], 'nobody is asked with made-up credentials')
})

t.test('.env and files are read as the server reads them', AT_ONCE, async (t) => {
  const { consult } = await practice(t)
  const cwd = t.testdir({
    '.env': 'API_KEYS_FILE=keys\nAPI_KEY=sEcReT\nDATABASE_URL=nonsense\n',
    keys: 'booking:sEcReT-0123456789-abcdef\n',
  })
  const { code, of } = await consult({ cwd, env: { API_KEYS: '', DATABASE_URL: '' } })
  t.equal(code, 1)
  t.match(of('configuration'), [
    /^wrong: DATABASE_URL must be file:PATH/,
    /^warning: API_KEY in \.env says nothing to Curfew → correct its name/,
  ])
  t.match(of('database'), [/^skipped/])
  t.match(of('digital-samba')[1], /^ok/)
})
