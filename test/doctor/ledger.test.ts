import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { startCurfew } from '../helper/curfew.ts'
import { ENGINES, freshUrl } from '../helper/engines.ts'
import { query } from '../helper/postgres.ts'
import { goodHook, ledgerAt, type Practice, practice } from './consult.ts'

t.jobs = 2
const AT_ONCE = { buffered: true }

/** What is in a folder, byte for byte. */
function contentsOf(file: string): Record<string, string> {
  const folder = dirname(file)
  return Object.fromEntries(
    readdirSync(folder).map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ]),
  )
}

async function wellPracticed(t: Test, url?: string): Promise<Practice> {
  const all = await practice(t, url ?? (await freshUrl(t, 'sqlite')))
  all.sandbox.createWebhook(goodHook())
  return all
}

async function sql(url: string, text: string): Promise<void> {
  if (url.startsWith('postgres')) return void (await query(url, text))
  const db = new DatabaseSync(url.slice('file:'.length))
  db.exec(text)
  db.close()
}

t.test('a file that is not there is not made', AT_ONCE, async (t) => {
  const { consult, file } = await wellPracticed(t)
  const { code, of } = await consult()
  t.equal(code, 0)
  t.match(of('database'), [/^ok: .*curfew\.db is not there yet; the first start makes it/])
  t.match(of('endings'), [/^skipped/])
  t.same(readdirSync(dirname(file)), [])
  const nowhere = await consult({ env: { DATABASE_URL: `file:${dirname(file)}/no/where/curfew.db` } })
  t.equal(nowhere.code, 1)
  t.match(nowhere.of('database'), [
    /^wrong: DATABASE_URL: .* cannot be made in .* \(ENOENT\) → make that folder/,
  ])
})

t.test('a Curfew that runs on the file is not disturbed, and its log is read', AT_ONCE, async (t) => {
  const all = await wellPracticed(t)
  const curfew = await startCurfew(t, all.sandbox, all.databaseUrl)
  const headers = { authorization: 'Bearer booking-key-0000000000000', 'content-type': 'application/json' }
  const dueAt = new Date(Date.now() + 3_600_000).toISOString()
  const ask = async () => {
    const body = JSON.stringify({ target: { room: 'some-room' }, dueAt })
    return (await fetch(`${curfew.url}/v1/endings`, { method: 'POST', headers, body })).status
  }
  t.equal(await ask(), 202)
  const consulting = all.consult({ args: ['--json'] })
  let answered = 0
  for (let isOver = false; !isOver; answered += 1) {
    t.equal(await ask(), 202)
    isOver = await Promise.race([
      consulting.then(() => true),
      new Promise<false>((r) => setTimeout(r, 20, false)),
    ])
  }
  const { code, of, findings } = await consulting
  t.equal(code, 0)
  t.match(of('database')[0], /a Curfew is running on it/)
  t.match(of('database'), [
    /^ok/,
    /^ok: it can be written/,
    /^ok: it is whole/,
    /^ok: its tables are this version's/,
  ])
  const pending = findings.find(({ values }) => values?.pending !== undefined)?.values?.pending
  t.ok(Number(pending) >= 1, `${pending} pending`)
  const status = await (await fetch(`${curfew.url}/status`, { headers })).json()
  t.match(status, { accepting: true, pending: answered + 1 })
})

t.test('nothing is changed and nothing left behind', AT_ONCE, async (t) => {
  const { consult, file, databaseUrl } = await wellPracticed(t)
  await ledgerAt(databaseUrl)
  const before = contentsOf(file)
  t.equal((await consult()).code, 0)
  t.same(contentsOf(file), before)
})

t.test('a ledger whose Curfew was killed: what its log holds counts', AT_ONCE, async (t) => {
  const all = await wellPracticed(t)
  const curfew = await startCurfew(t, all.sandbox, all.databaseUrl)
  const headers = { authorization: 'Bearer booking-key-0000000000000', 'content-type': 'application/json' }
  const later = new Date(Date.now() + 3_600_000).toISOString()
  for (let i = 0; i < 3; i += 1)
    await fetch(`${curfew.url}/v1/endings`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ target: { room: 'some-room' }, dueAt: later }),
    })
  curfew.signal('SIGKILL')
  await curfew.exited
  const { 'curfew.db-shm': _, ...before } = contentsOf(all.file)
  const { code, of } = await all.consult()
  t.equal(code, 0)
  t.match(of('database')[0], /no Curfew is running on it/)
  t.match(of('endings').join('\n'), '3 pending, 0 overdue')
  const { 'curfew.db-shm': __, ...after } = contentsOf(all.file)
  t.same(after, before)
})

for (const engine of ENGINES) {
  t.test(`a ledger of a newer version, and of an older one (${engine})`, AT_ONCE, async (t) => {
    const url = await freshUrl(t, engine)
    const { consult } = await wellPracticed(t, url)
    await ledgerAt(url)
    await sql(url, `delete from kysely_migration where name = '011-statistics'`)
    const older = await consult()
    t.equal(older.code, 0)
    t.match(
      older.of('database').join('\n'),
      /^ok: .*an older version's \(010-notifications\); the start migrates them/m,
    )
    t.match(older.of('endings'), [/^skipped/])
    await sql(url, `insert into kysely_migration (name, timestamp) values ('999-later', '2030-01-01')`)
    const newer = await consult()
    t.equal(newer.code, 1)
    t.match(
      newer.of('database').join('\n'),
      /^wrong: its tables are a newer version's \(999-later\): .* → start that version, or restore a backup/m,
    )
  })

  t.test(`what waits, what failed, and what is in the way (${engine})`, AT_ONCE, async (t) => {
    const url = await freshUrl(t, engine)
    const { consult } = await wellPracticed(t, url)
    const now = Date.now()
    const ending = (id: number, more: Record<string, string | number>) => ({
      id: `0199-${id}`,
      state: 'pending' as const,
      target_kind: 'room' as const,
      target_id: 'r',
      reason: 'requested',
      requested_by: 'booking',
      urgent: 0,
      due_at: now + 3_600_000,
      next_attempt_at: now + 3_600_000,
      attempt: 0,
      claim: 0,
      retry_base: 0,
      created_at: now,
      metadata: '{}',
      reopened: 0,
      ...more,
    })
    await ledgerAt(url, async (db) => {
      await db
        .insertInto('endings')
        .values([
          ending(1, {}) as never,
          ending(2, { due_at: now - 120_000, next_attempt_at: now }) as never,
          ending(3, { state: 'failed', failure: 'gave_up', finished_at: now - 1000 }) as never,
        ])
        .execute()
      const pause = { paused_by: 'ops', reason: 'a drill', since: now - 60_000 }
      await db
        .insertInto('pauses')
        .values([
          { caller: '', ...pause },
          { caller: 'billing', ...pause },
        ])
        .execute()
      await db
        .insertInto('control')
        .values([
          { name: 'refusal', since: now - 60_000, until: now + 60_000, why: 'answered 401' },
          { name: 'pause', since: now - 1000, until: now + 60_000, why: 'answered 429' },
        ])
        .execute()
      await db
        .insertInto('permits')
        .values(
          [0, 1, 2].map((slot) => ({ kind: 'call' as const, slot, free_at: slot === 2 ? 0 : now + 60_000 })),
        )
        .execute()
    })
    const { code, of, findings } = await consult({ args: ['--json'] })
    t.equal(code, 1)
    const said = of('endings').join('\n')
    t.match(said, 'ok: 898 of 900 calls a minute could leave now')
    t.match(
      said,
      /^wrong: Digital Samba refuses the credentials since .* \(answered 401\): no ending is carried out →/m,
    )
    t.match(said, /^warning: Digital Samba's rate limit was met since .*; calls go again at /m)
    t.match(said, /^warning: all calls are paused since .* by ops: a drill → POST \/v1\/resume/m)
    t.match(said, /^warning: billing is paused since .* by ops: a drill → POST .*"billing"/m)
    t.match(said, /^wrong: 2 pending, 1 overdue, the oldest for 1\d\d\.\d s .* → is a Curfew running/m)
    t.match(said, /^warning: 1 failed within a day → GET \/v1\/endings\?state=failed/m)
    t.match(findings.find(({ values }) => values?.pending !== undefined)?.values, {
      pending: 2,
      overdue: 1,
      oldestOverdue: new Date(now - 120_000).toISOString(),
      failedLastDay: 1,
    })
  })
}

t.test('files that are no ledger', AT_ONCE, async (t) => {
  const { consult, file, databaseUrl } = await wellPracticed(t)
  writeFileSync(file, 'this is no database, and longer than its header would be'.repeat(99))
  t.match((await consult()).of('database').join('\n'), /^wrong: .* is not a SQLite database/m)
  const other = `${file}-other`
  await sql(`file:${other}`, 'create table a (b)')
  const foreign = await consult({ env: { DATABASE_URL: `file:${other}` } })
  t.match(foreign.of('database').join('\n'), /^wrong: it holds tables that are not of Curfew/m)
  mkdirSync(`${file}-folder`)
  const folder = await consult({ env: { DATABASE_URL: `file:${file}-folder` } })
  t.match(folder.of('database').join('\n'), /^wrong: /m)
  for (const { code } of [foreign, folder]) t.equal(code, 1)
  t.notOk(existsSync(`${databaseUrl.slice(5)}-wal`))
})

t.test('a damaged ledger', AT_ONCE, async (t) => {
  const { consult, file, databaseUrl } = await wellPracticed(t)
  await ledgerAt(databaseUrl)
  const { length } = readFileSync(file)
  truncateSync(file, length - 8 * 4096)
  appendFileSync(file, Buffer.alloc(8 * 4096, 'x'))
  const { code, of } = await consult()
  t.equal(code, 1)
  t.match(of('database').join('\n'), /^wrong: it is damaged: .* → stop Curfew, keep a copy of the file/m)
})

const UNSHARE = ['unshare', '--mount', ...(process.getuid?.() === 0 ? [] : ['--map-root-user'])]
const MOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
const [program = '', ...rest] = UNSHARE
const canMount = spawnSync(program, [...rest, 'bash', '-c', MOUNT, '/tmp']).status === 0

t.test(
  'a read-only ledger',
  { ...AT_ONCE, skip: canMount ? false : 'nothing can be mounted here' },
  async (t) => {
    const { consult, file, databaseUrl } = await wellPracticed(t)
    await ledgerAt(databaseUrl)
    const by = [...UNSHARE, 'bash', '-c', `${MOUNT} && exec "$@"`, dirname(file)]
    const { code, of } = await consult({ by })
    t.equal(code, 1)
    t.match(of('database').join('\n'), /^wrong: .* cannot be written \(EROFS\): nothing can be accepted → /m)
    t.match(of('database').join('\n'), /^ok: it is whole/m, 'the rest is looked at all the same')
    t.match(of('endings').join('\n'), '0 pending')
  },
)

t.test('PostgreSQL', AT_ONCE, async (t) => {
  const url = await freshUrl(t, 'postgres')
  const { consult } = await wellPracticed(t, url)
  const empty = await consult()
  t.equal(empty.code, 0, empty.stdout)
  t.match(empty.of('database').join('\n'), /^ok: it is empty; the first start makes the tables/m)
  await ledgerAt(url)
  const well = await consult({ args: ['--json'] })
  t.equal(well.code, 0)
  t.match(well.of('database'), [
    /^ok: PostgreSQL at 127\.0\.0\.1:\d+\/t[0-9a-f]+ answers; 0 connections of Curfew/,
    /^ok: it can be written/,
    /^ok: its clock is 0\.\d s (behind|ahead of) this machine's/,
    /^ok: its tables are this version's/,
  ])
  await query(
    url,
    `alter database "${new URL(url).pathname.slice(1)}" set default_transaction_read_only = on`,
  )
  const readOnly = await consult()
  t.equal(readOnly.code, 1)
  t.match(
    readOnly.of('database').join('\n'),
    /^wrong: it is read-only: nothing can be accepted → name the primary/m,
  )
})

t.test('a PostgreSQL that is away', AT_ONCE, async (t) => {
  const { consult } = await wellPracticed(t, 'postgres://curfew:sEcReT@127.0.0.1:1/curfew')
  const { code, of } = await consult()
  t.equal(code, 1)
  t.match(of('database'), [
    /^wrong: DATABASE_URL: 127\.0\.0\.1:1\/curfew refuses the connection; .* → Curfew waits/,
  ])
  t.match(of('digital-samba')[1], /^ok/)
  t.match(of('endings'), [/^skipped/])
})
