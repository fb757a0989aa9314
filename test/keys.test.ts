import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { REQUIRED, read } from './config/cases.ts'

const ENTRY = fileURLToPath(new URL('../src/keys.ts', import.meta.url))
const run = (...args: string[]) => spawnSync(process.execPath, [ENTRY, ...args], { encoding: 'utf8' })

t.test('a new key, for the caller and for the configuration', async (t) => {
  const { status, stdout, stderr } = run('booking-2')
  t.equal(status, 0, stderr)
  const [, key = ''] = /^ {2}([A-Za-z0-9_-]{43})$/m.exec(stdout) ?? []
  const [, entry = ''] = /^ {2}(booking-2:sha256:[0-9a-f]{64})$/m.exec(stdout) ?? []
  t.equal(entry, `booking-2:sha256:${createHash('sha256').update(key).digest('hex')}`)
  t.match(stdout, `booking-2:${key}`, 'or as it is')
  const [hashed, plain] = await Promise.all(
    [entry, `booking-2:${key}`].map((API_KEYS) => read({ ...REQUIRED, API_KEYS })),
  )
  t.strictSame(hashed?.keys, plain?.keys, 'the service takes both for the same')
  t.notOk(run('booking-2').stdout.includes(key), 'another one each time')
})

t.test('names that no caller may have', async (t) => {
  for (const args of [
    ['curfew'],
    ['sha256'],
    ['Booking'],
    ['2nd'],
    ['a b'],
    ['a:b'],
    ['a,b'],
    [''],
    [],
    ['a', 'b'],
    ['--help'],
  ]) {
    const { status, stdout, stderr } = run(...args)
    t.equal(status, 1, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, /^keys: (the name must|one name is needed)/)
  }
})
