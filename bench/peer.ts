import { DatabaseSync } from 'node:sqlite'
import Fastify from 'fastify'
import got from 'got'
import pRetry from 'p-retry'

/**
 * What a team would write in an afternoon: Fastify takes a request, got and p-retry make the call, a hundred at a time, and
 * all of it is forgotten with the process. What Curfew is measured against.
 *
 * With PEER_LEDGER, the path of a file, it keeps one row for each request in SQLite: on the disk before it is answered,
 * those that arrive together in one commit, and marked as done after its call. It has one table without an index, and
 * knows no due time, no lease, no retry and no budget: the least that a promise costs on this machine.
 */
const upstream = got.extend({
  prefixUrl: process.env.DIGITAL_SAMBA_URL as string,
  headers: { authorization: 'Basic c2FuZGJveA==' },
  timeout: { request: 5000 },
  retry: { limit: 0 },
})
const waiting: string[] = []
let running = 0

async function next(): Promise<void> {
  if (running === 100) return
  const session = waiting.shift()
  if (session === undefined) return
  running += 1
  await pRetry(() => upstream.post(`api/v1/sessions/${session}/end`), { retries: 2 }).catch(() => {})
  ledger?.end(session)
  running -= 1
  void next()
}

function openLedger(file: string) {
  const db = new DatabaseSync(file)
  db.exec(
    'pragma journal_mode = wal; pragma synchronous = full; create table endings (session text primary key, ended_at int)',
  )
  const insert = db.prepare('insert into endings (session) values (?)')
  const update = db.prepare('update endings set ended_at = ? where session = ?')
  let batch: Array<{ write: () => void; stored: () => void }> = []
  const commit = () => {
    const all = batch
    batch = []
    db.exec('begin immediate')
    for (const { write } of all) write()
    db.exec('commit')
    for (const { stored } of all) stored()
  }
  const add = (write: () => void) =>
    new Promise<void>((stored) => {
      if (batch.push({ write, stored }) === 1) setImmediate(commit)
    })
  return {
    store: (session: string) => add(() => void insert.run(session)),
    end: (session: string) => void add(() => void update.run(Date.now(), session)),
  }
}

const ledger = process.env.PEER_LEDGER ? openLedger(process.env.PEER_LEDGER) : undefined
const app = Fastify({ logger: { level: 'info' } })
app.post<{ Params: { sessionId: string } }>('/v1/sessions/:sessionId/end', (request, reply) => {
  const { sessionId } = request.params
  const accept = () => {
    waiting.push(sessionId)
    void next()
    reply.status(202).send({ state: 'pending' })
  }
  if (ledger) void ledger.store(sessionId).then(accept)
  else accept()
})
const address = await app.listen({ host: '127.0.0.1', port: 0 })
app.log.info({ address }, 'ready')
