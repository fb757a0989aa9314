import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { EventMeaning } from '../ending.ts'
import type { Setting } from '../events/handler.ts'
import { translate } from '../events/index.ts'
import type { Config } from '../plugins/config.ts'
import { type Mistake, Problem } from '../problem.ts'
import type { EventResult } from '../storage/events.ts'
import { logStored } from './accept.ts'
import { EVENT_TYPES, isBinary, keepBodies, LARGEST_BODY, readEvents } from './event-bodies.ts'
import { type EventsAnswer, eventsAnswer } from './event-schemas.ts'
import { Nothing } from './schemas.ts'

type Answered = EventsAnswer['events'][number]

/** CloudEvents over HTTP: what happened elsewhere, translated into endings. */
export const events: FastifyPluginAsyncTypebox<{ config: Config }> = async (app, { config }) => {
  keepBodies(app)
  app.route({
    method: 'POST',
    url: '/v1/events',
    bodyLimit: LARGEST_BODY,
    config: { contentTypes: EVENT_TYPES },
    schema: { querystring: Nothing, response: eventsAnswer },
    onRequest: onceKnown,
    preValidation: onceSigned,
    handler: onEvents,
  })

  async function onEvents(request: FastifyRequest, reply: FastifyReply): Promise<EventsAnswer> {
    const { bookingGraceMs, maxTargetsPerEvent: maxTargets } = config
    const setting = { sender: request.caller.name, now: app.ledger.clock.now(), bookingGraceMs, maxTargets }
    const { known, answers } = translateAll(await readEvents(request), setting)
    const results = known.length > 0 ? await carriedOut(app, setting.sender, known) : []
    for (const [i, result] of results.entries()) {
      const event = known[i] as EventMeaning
      const answer = answers.find((other) => other.meaning === event) as Open
      Object.assign(answer, { status: result.status, endings: result.endings })
      logEvent(request, event, result)
    }
    for (const { status, type, id } of answers)
      if (status === 'ignored') request.log.info({ sender: setting.sender, event: id, type }, 'event.ignored')
    reply.status(202)
    return { events: answers.map(({ id, type, status, endings }) => ({ id, type, status, endings })) }
  }
}

/** A key is looked at before the body is read; a signature can only be checked with it. */
async function onceKnown(request: FastifyRequest): Promise<void> {
  const isSigned = request.headers['webhook-signature'] !== undefined
  if (request.headers.authorization !== undefined || !isSigned) await request.server.authenticate(request)
  else if (isBinary(request)) throw refused(request, 'no signature covers the headers of a binary event')
}

async function onceSigned(request: FastifyRequest): Promise<void> {
  if (request.caller) return
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const name = request.server.signerOf(request.headers, body)
  if (name === undefined)
    throw refused(request, 'no known secret made this signature of this body within the last five minutes')
  request.caller = { name, operator: false }
}

function refused(request: FastifyRequest, detail: string): Problem {
  request.log.warn({ why: detail }, 'event.refused')
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': 'Bearer realm="curfew"' } })
}

interface Open extends Answered {
  meaning: EventMeaning | undefined
}

/** All of them or none: one mistake anywhere, and nothing of the request is stored. */
function translateAll(raw: unknown[], setting: Setting): { known: EventMeaning[]; answers: Open[] } {
  const mistakes: Mistake[] = []
  const known: EventMeaning[] = []
  const answers: Open[] = []
  for (const [index, one] of raw.entries()) {
    const translation = translate(one, setting)
    if (translation.kind === 'mistaken') mistakes.push(...at(index, translation.mistakes))
    else if (translation.kind === 'unknown')
      answers.push({ ...translation, status: 'ignored', endings: [], meaning: undefined })
    else {
      const { id, type } = translation.event
      known.push(translation.event)
      answers.push({ id, type, status: 'accepted', endings: [], meaning: translation.event })
    }
  }
  if (mistakes.length > 0) throw mistaken(mistakes)
  return { known, answers }
}

function at(index: number, mistakes: Mistake[]): Mistake[] {
  return mistakes.map(({ pointer, detail }) => ({ pointer: `/${index}${pointer}`, detail }))
}

// A batch in which everything is wrong in the same way is told of its first mistakes.
const MOST_MISTAKES = 100

function mistaken(all: Mistake[]): Problem {
  const mistakes = all.slice(0, MOST_MISTAKES)
  const [first] = mistakes as [Mistake]
  const more = all.length > 1 ? ` (and ${all.length - 1} more)` : ''
  return new Problem('invalid', `${first.pointer} ${first.detail}${more}`, { mistakes })
}

async function carriedOut(
  { ledger }: FastifyInstance,
  sender: string,
  known: EventMeaning[],
): Promise<EventResult[]> {
  const results = await ledger.events(sender, known)
  if (Array.isArray(results)) return results
  throw new Problem(
    'in-progress',
    'an ending that these events are about is being carried out; send them again',
    {
      headers: { 'retry-after': '1' },
    },
  )
}

function logEvent(request: FastifyRequest, { source, id, type, subject }: EventMeaning, result: EventResult) {
  const { status, endings, changed } = result
  const about = { sender: request.caller.name, source, event: id, type, subject }
  request.log.info({ ...about, endings }, `event.${status}`)
  for (const { ending, how } of changed) logStored(request, ending, `ending.${how}`)
}
