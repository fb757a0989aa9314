import Fastify from 'fastify'

/** What the machine and Fastify can do at best: the same request, answered without anything being done. */
const app = Fastify()
app.post('/v1/sessions/:sessionId/end', (_request, reply) => {
  reply.status(202).send({ id: '01a20aed-7e01-70a5-b47c-be9bc2c1bf82', state: 'pending' })
})
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`)
