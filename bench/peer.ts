import Fastify from 'fastify'
import got from 'got'
import pRetry from 'p-retry'

/**
 * What a team would write in an afternoon: Fastify takes a request, got and p-retry make the call, a hundred at a time, and
 * all of it is forgotten with the process. What Curfew is measured against.
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
  running -= 1
  void next()
}

const app = Fastify({ logger: { level: 'info' } })
app.post<{ Params: { sessionId: string } }>('/v1/sessions/:sessionId/end', (request, reply) => {
  waiting.push(request.params.sessionId)
  void next()
  reply.status(202).send({ state: 'pending' })
})
const address = await app.listen({ host: '127.0.0.1', port: 0 })
app.log.info({ address }, 'ready')
