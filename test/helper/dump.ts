import { hash, randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** Every row of every table; on SQLite also what the file holds, and the bytes of the file and its log. */
export type Dump = Record<string, unknown>

/** Read past the service, once it has nothing left to write. */
export async function dumpOf(databaseUrl: string): Promise<Dump> {
  const { dump, close } = databaseUrl.startsWith('file:')
    ? openFile(databaseUrl.slice('file:'.length))
    : await openServer(databaseUrl)
  try {
    for (let before = await dump(); ; ) {
      await sleep(15)
      const after = await dump()
      if (JSON.stringify(after) === JSON.stringify(before)) return after
      before = after
    }
  } finally {
    await close()
  }
}

function openFile(file: string) {
  const db = new DatabaseSync(file, { readOnly: true })
  const folder = mkdtempSync(join(tmpdir(), 'curfew-dump-'))
  const dump = async (): Promise<Dump> => {
    const names = db.prepare(`select name from sqlite_master where type = 'table' order by name`).all()
    const tables = names.map(({ name }) => [name, db.prepare(`select * from "${name}"`).all()])
    const whole = join(folder, `${randomUUID()}.db`)
    db.prepare('vacuum into ?').run(whole)
    const vacuumed = digestOf(whole)
    rmSync(whole)
    return Object.fromEntries([
      ...tables,
      ['vacuumed', vacuumed],
      ['file', digestOf(file)],
      ['log', digestOf(`${file}-wal`)],
    ])
  }
  const close = async () => {
    db.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return { dump, close }
}

const digestOf = (file: string) => (existsSync(file) ? hash('sha256', readFileSync(file)) : 'none')

async function openServer(connectionString: string) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  const tables = await client.query(
    `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
  )
  const all = tables.rows.map(
    ({ name }) => `'${name}', (select json_agg(t order by t::text) from "${name}" t)`,
  )
  const sequences = `'sequences', (select json_agg(s order by s::text) from pg_sequences s)`
  const text = `select json_build_object(${[...all, sequences].join(', ')}) as dump`
  const dump = async (): Promise<Dump> => (await client.query(text)).rows[0].dump
  return { dump, close: () => client.end() }
}
