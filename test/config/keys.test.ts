import t from 'tap'
import { type ApiKey, digestOf, hashedForm } from '../../src/config/keys.ts'
import { apiKey, type Env, NOWHERE, problems, REQUIRED, read, readKey } from './cases.ts'

const [A, B, C] = ['sEcReT-a', 'sEcReT-b', 'sEcReT-c'].map((key) => key.padEnd(24, '0')) as [
  string,
  string,
  string,
]
const own = (variable: string) => `${variable} must not use the name curfew: it is Curfew's own`
const OWN = own('API_KEYS')
const shared = (one: string, other: string, variables = 'API_KEYS') =>
  `${variables} must not give ${one} and ${other} the same key`
const inBoth = (name: string) => `OPERATOR_KEYS must not use the name ${name}: API_KEYS has it`

const GOOD: [what: string, env: Env, keys: ApiKey[]][] = [
  ['one', { API_KEYS: `a:${A}` }, [apiKey('a', A)]],
  ['two keys while one is changed', { API_KEYS: `a:${A},a:${B}` }, [apiKey('a', A), apiKey('a', B)]],
  [
    'two keys that do not stand together',
    { API_KEYS: `a:${A},b:${B},a:${C}` },
    [apiKey('a', A), apiKey('b', B), apiKey('a', C)],
  ],
  [
    'two keys of an operator',
    { API_KEYS: `a:${A}`, OPERATOR_KEYS: `ops:${B},ops:${C}` },
    [apiKey('a', A), apiKey('ops', B, true), apiKey('ops', C, true)],
  ],
  [
    'a key that is not there itself, beside one that is',
    { API_KEYS: `a:${hashedForm(A)},a:${B}`, OPERATOR_KEYS: `ops:${hashedForm(C)}` },
    [apiKey('a', A), apiKey('a', B), apiKey('ops', C, true)],
  ],
  [
    'keys that only read',
    { API_KEYS: `a:${A}`, READ_KEYS: `desk:${B},desk:${hashedForm(C)}` },
    [apiKey('a', A), readKey('desk', B), readKey('desk', C)],
  ],
  [
    'one key in both forms for one name',
    { API_KEYS: `a:${A},a:${hashedForm(A)}` },
    [apiKey('a', A), apiKey('a', A)],
  ],
  ['a name that only begins like ours', { API_KEYS: `curfew-2:${A}` }, [apiKey('curfew-2', A)]],
  [
    'keys that differ in case alone',
    { API_KEYS: `a:${A},b:${A.toLowerCase()}` },
    [apiKey('a', A), apiKey('b', A.toLowerCase())],
  ],
]

t.test('who may ask, by the hashes of their keys', async (t) => {
  for (const [what, env, keys] of GOOD) {
    const config = await read(env)
    t.strictSame(config.keys, keys, what)
    t.notOk(JSON.stringify(config).includes('sEcReT-a'), 'the keys themselves are not kept')
  }
  t.same(digestOf(A), apiKey('a', A).digest)
  t.equal(digestOf(A).length, 32)
})

const BAD: [what: string, env: Env, lines: string[]][] = [
  ['our own name', { API_KEYS: `curfew:${A}` }, [OWN]],
  ['our own name among others', { API_KEYS: `a:${A},curfew:${B}` }, [OWN]],
  ['our own name for an operator', { OPERATOR_KEYS: `curfew:${A}` }, [own('OPERATOR_KEYS')]],
  ['our own name twice', { API_KEYS: `curfew:${A},curfew:${B}` }, [OWN]],
  ['one key for two', { API_KEYS: `a:${A},b:${A}` }, [shared('a', 'b')]],
  ['one key for two that are apart', { API_KEYS: `a:${A},b:${B},c:${A}` }, [shared('a', 'c')]],
  ['one key for three', { API_KEYS: `a:${A},b:${A},c:${A}` }, [shared('a', 'b'), shared('a', 'c')]],
  [
    'a key of a caller and an operator',
    { API_KEYS: `a:${A}`, OPERATOR_KEYS: `o:${A}` },
    [shared('a', 'o', 'API_KEYS and OPERATOR_KEYS')],
  ],
  ['one key for two operators', { OPERATOR_KEYS: `o:${A},p:${A}` }, [shared('o', 'p', 'OPERATOR_KEYS')]],
  ['a caller who is an operator', { API_KEYS: `a:${A}`, OPERATOR_KEYS: `a:${B}` }, [inBoth('a')]],
  [
    'two callers who are operators',
    { API_KEYS: `a:${A},b:${B}`, OPERATOR_KEYS: `b:${C},a:${B}0` },
    [inBoth('b'), inBoth('a')],
  ],
  ['our own name for a reader', { READ_KEYS: `curfew:${A}` }, [own('READ_KEYS')]],
  ['one key in both forms for two', { API_KEYS: `a:${A},b:${hashedForm(A)}` }, [shared('a', 'b')]],
  [
    'one key of a caller and a reader',
    { API_KEYS: `a:${A}`, READ_KEYS: `r:${hashedForm(A)}` },
    [shared('a', 'r', 'API_KEYS and READ_KEYS')],
  ],
  [
    'a reader who is a caller, and one who is an operator',
    { API_KEYS: `a:${A}`, OPERATOR_KEYS: `o:${B}`, READ_KEYS: `a:${C},o:${C}0` },
    [
      'READ_KEYS must not use the name a: API_KEYS has it',
      'READ_KEYS must not use the name o: OPERATOR_KEYS has it',
    ],
  ],
  [
    'all of it',
    { API_KEYS: `curfew:${A},a:${B},b:${B}`, OPERATOR_KEYS: `a:${C}` },
    [OWN, shared('a', 'b'), inBoth('a')],
  ],
]

t.test('keys that leave open who asks', async (t) => {
  for (const [what, env, lines] of BAD) {
    const found = await problems({ ...REQUIRED, ...env }, NOWHERE)
    t.same(found, lines, what)
    t.notMatch(found.join('\n'), 'sEcReT', 'no key is repeated')
  }
})

t.test('a list that is well-formed is looked at where the other is not', async (t) => {
  const lines = await problems({ ...REQUIRED, API_KEYS: 'short', OPERATOR_KEYS: `curfew:${A}` })
  t.match(lines, [/^API_KEYS must be a list/, own('OPERATOR_KEYS')])
})

t.test('each mistake is said once', async (t) => {
  t.same(await problems({ ...REQUIRED, API_KEYS: `a:${A}`, OPERATOR_KEYS: `a:${A}` }), [inBoth('a')])
  t.same(await problems({ ...REQUIRED, API_KEYS: `a:${A},b:${A},a:${A}` }), [shared('a', 'b')])
})
