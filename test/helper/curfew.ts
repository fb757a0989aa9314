import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import type { Test } from 'tap'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import type { EndingRow } from '../../src/storage/schema.ts'
import { type Process, startProcess } from './process.ts'
import { environment, KEYS, until } from './service.ts'

/** What somebody got who asked a real process: status 0 where nothing came back. */
export interface Reply {
  statusCode: number
  headers: Record<string, string>
  body: string
}

/** A process of its own that does not outlive the test, whatever becomes of it. */
export async function startCurfew(
  t: Test,
  sandbox: Sandbox,
  databaseUrl: string,
  env: Record<string, string> = {},
): Promise<Process> {
  const curfew = await startProcess(environment(sandbox, databaseUrl, env))
  t.teardown(async () => {
    curfew.signal('SIGKILL')
    await curfew.exited
  })
  return curfew
}

/** Asks as `booking`; a POST where there is a body. */
export async function ask(url: string, path: string, body?: object, more: Record<string, string> = {}) {
  const headers = { authorization: `Bearer ${KEYS.booking}`, 'content-type': 'application/json', ...more }
  const init = body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers }
  try {
    const answer = await fetch(`${url}${path}`, init)
    const reply: Reply = {
      statusCode: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: await answer.text(),
    }
    return reply
  } catch {
    return { statusCode: 0, headers: {}, body: '' } satisfies Reply
  }
}

/** Asks for the end of a session; the ending's id. */
export async function end(url: string, session: string, body: object = {}): Promise<string> {
  const reply = await ask(url, `/v1/sessions/${session}/end`, body)
  if (reply.statusCode !== 202) throw new Error(`not accepted: ${reply.statusCode} ${reply.body}`)
  return JSON.parse(reply.body).id
}

/** Every ending in the ledger by its id, read past the service: from the file, or from PostgreSQL. */
export async function endingsIn(databaseUrl: string): Promise<Map<string, EndingRow>> {
  const text = 'select * from endings'
  const rows = databaseUrl.startsWith('file:')
    ? readFile(databaseUrl.slice('file:'.length), text)
    : await readServer(databaseUrl, text)
  return new Map((rows as EndingRow[]).map((row) => [row.id, row]))
}

function readFile(file: string, text: string): unknown[] {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return db.prepare(text).all()
  } finally {
    db.close()
  }
}

async function readServer(url: string, text: string): Promise<unknown[]> {
  // A bigint comes as a string, since it may exceed a double; none of these does.
  const getTypeParser = (oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')
  const client = new pg.Client({ connectionString: url, types: { getTypeParser } })
  await client.connect()
  return (await client.query(text).finally(() => client.end())).rows
}

/** Until the process has nothing left that is due. */
export async function nothingOverdue(url: string): Promise<void> {
  await until(async () => {
    const { statusCode, body } = await ask(url, '/status')
    return statusCode === 200 && JSON.parse(body).overdue === 0
  })
}

/** How often each session was asked to end. */
export function endCalls({ calls }: Sandbox): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { operation, session } of calls)
    if (operation === 'end' && session) counts.set(session, (counts.get(session) ?? 0) + 1)
  return counts
}
