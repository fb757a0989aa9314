import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/config.ts'
import type { Setting } from '../events/handler.ts'
import { translate } from '../events/index.ts'
import type { EventMeaning } from '../events/meaning.ts'
import { allInvalid, invalid, type Mistake, Problem } from '../problem.ts'
import type { EventResult } from '../storage/events/events.ts'
import { Turns } from '../turns.ts'
import { MOST_MISTAKES } from '../validation.ts'
import { logStored } from './accept.ts'
import { EVENT_TYPES, isBinary, keepBodies, LARGEST_BODY, readEvents } from './event-bodies.ts'
import { type EventsAnswer, eventsAnswer } from './event-schemas.ts'
import { Nothing } from './schemas.ts'

type Answered = EventsAnswer['events'][number]

// Translating or logging as many takes some ms, and then others have a turn.
const TARGETS_A_TURN = 100

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
    const { bookingGraceMs, maxTargetsPerEvent: maxTargets, maxTargetsPerRequest } = config
    const setting = { sender: request.caller.name, now: app.ledger.clock.now(), bookingGraceMs, maxTargets }
    const { known, answers, targets } = await translateAll(await readEvents(request), setting)
    if (targets > maxTargetsPerRequest)
      throw invalid('', `must name at most ${maxTargetsPerRequest} targets in all its events, not ${targets}`)
    const results = known.length > 0 ? await carriedOut(app, setting.sender, known) : []
    const turns = new Turns(TARGETS_A_TURN)
    for (const [i, result] of results.entries()) {
      const { meaning, answer } = known[i] as Known
      Object.assign(answer, { status: result.status, endings: result.endings })
      logEvent(request, meaning, result)
      await turns.spend(1 + result.changed.length)
    }
    for (const { status, type, id, detail } of answers)
      if (status === 'ignored') {
        request.log.warn({ sender: setting.sender, event: id, type, detail }, 'event.ignored')
        await turns.spend()
      }
    reply.status(202)
    return { events: answers }
  }
}

/** A key is looked at before the body is read, and so is whatever else can be: a signature can only be checked with it. */
async function onceKnown(request: FastifyRequest): Promise<void> {
  const isSigned = request.headers['webhook-signature'] !== undefined
  if (request.headers.authorization !== undefined || !isSigned) return request.server.authenticate(request)
  if (isBinary(request)) throw refused(request, 'no signature covers the headers of a binary event')
  const flaw = request.server.signatureFlaw(request.headers)
  if (flaw !== undefined) throw refused(request, flaw)
}

async function onceSigned(request: FastifyRequest): Promise<void> {
  if (request.caller) return
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const name = request.server.signerOf(request.headers, body)
  if (name === undefined) throw refused(request, 'no known secret made this signature of this body')
  request.caller = { name, operator: false }
}

function refused(request: FastifyRequest, detail: string): Problem {
  request.log.warn({ why: detail }, 'event.refused')
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': 'Bearer realm="curfew"' } })
}

interface Known {
  meaning: EventMeaning
  answer: Answered
}

/** All of them or none: one mistake anywhere, and nothing of the request is stored. */
async function translateAll(raw: unknown[], setting: Setting) {
  const mistakes: Mistake[] = []
  const known: Known[] = []
  const answers: Answered[] = []
  const turns = new Turns(TARGETS_A_TURN)
  let targets = 0
  for (const [index, one] of raw.entries()) {
    const translation = translate(one, setting)
    if (translation.kind === 'mistaken') {
      mistakes.push(...at(index, translation.mistakes))
      if (mistakes.length > MOST_MISTAKES) break
    } else if (translation.kind === 'unknown') {
      const { id, type, detail } = translation
      answers.push({ id, type, status: 'ignored', endings: [], detail })
    } else {
      const { id, type } = translation.event
      const answer: Answered = { id, type, status: 'accepted', endings: [] }
      known.push({ meaning: translation.event, answer })
      answers.push(answer)
      targets += translation.targets
    }
    await turns.spend('targets' in translation ? 1 + translation.targets : 1)
  }
  if (mistakes.length > 0) throw mistaken(mistakes)
  return { known, answers, targets }
}

function at(index: number, mistakes: Mistake[]): Mistake[] {
  return mistakes.map(({ pointer, detail }) => ({ pointer: `/${index}${pointer}`, detail }))
}

/** A batch in which everything is wrong in the same way is told of its first mistakes. */
function mistaken(all: Mistake[]): Problem {
  const mistakes = all.slice(0, MOST_MISTAKES)
  const [first] = mistakes as [Mistake]
  const others = `${all.length > mistakes.length ? 'at least ' : ''}${all.length - 1}`
  return allInvalid(
    mistakes,
    `${first.pointer} ${first.detail}${all.length > 1 ? ` (and ${others} more)` : ''}`,
  )
}

async function carriedOut(
  { ledger }: FastifyInstance,
  sender: string,
  known: Known[],
): Promise<EventResult[]> {
  const results = await ledger.events(
    sender,
    known.map(({ meaning }) => meaning),
  )
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
