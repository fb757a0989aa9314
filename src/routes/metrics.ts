import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Nothing } from './schemas.ts'

/** For Prometheus: open to all, as it names nobody but callers of the configuration. */
export const metrics: FastifyPluginAsyncTypebox = async (app) => {
  app.route({
    method: 'GET',
    url: '/metrics',
    schema: { querystring: Nothing },
    handler: async (_, reply) => {
      const { contentType, text } = await app.metrics()
      return reply.type(contentType).send(text)
    },
  })
}
