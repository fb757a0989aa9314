import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { logSeenOver } from '../ending-log.ts'
import { invalid, ProblemDocument } from '../problem.ts'
import { DigitalSambaEvent } from './event-schemas.ts'
import { Nothing } from './schemas.ts'

/**
 * Digital Samba's own webhooks. They are neither signed nor numbered nor retried: one may be missing, repeated or out
 * of order, so whatever they make faster is made certain by looking. A session that is over stays over, so that it
 * is over may be told at any time.
 */
export const webhooks: FastifyPluginAsyncTypebox = async (app) => {
  app.route({
    method: 'POST',
    url: '/v1/webhooks/digital-samba',
    schema: {
      querystring: Nothing,
      body: DigitalSambaEvent,
      response: { '4xx': ProblemDocument, '5xx': ProblemDocument },
    },
    onRequest: app.authenticateDigitalSamba,
    handler: async (request, reply) => {
      const { body } = request
      app.notices.webhook.lastAt = app.ledger.clock.now()
      const event = body.eventType ?? body.event
      if (event === undefined) throw invalid('/eventType', 'is required: the name of an event')
      if (event === 'session_ended') await onSessionEnded(request, sessionOf(body))
      else if (event === 'session_started') onSessionStarted(sessionOf(body), body.roomId ?? body.room_id)
      else request.log.debug({ webhook: event.slice(0, 100) }, 'webhook.ignored')
      reply.status(204)
    },
  })

  function onSessionStarted(session: string, room: string | null | undefined): void {
    app.lookUps.forget(session)
    app.notices.sessionStarted({ session, room: room ?? undefined })
  }

  async function onSessionEnded({ log }: FastifyRequest, session: string): Promise<void> {
    app.lookUps.forget(session)
    logSeenOver(log as Logger, session, await app.ledger.sessionSeenOver(session), 'webhook')
  }
}

function sessionOf({ sessionId, session_id }: DigitalSambaEvent): string {
  const session = sessionId ?? session_id
  if (!session) throw invalid('/sessionId', 'is required: the UUID of a session')
  return session.toLowerCase()
}
