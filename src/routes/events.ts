import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/config.ts'
import type { KnownEvent } from '../events/fold.ts'
import type { Setting } from '../events/handler.ts'
import { translate } from '../events/index.ts'
import { allInvalid, invalid, type Mistake, Problem } from '../problem.ts'
import type { EventResult } from '../storage/events/events.ts'
import { Turns } from '../turns.ts'
import { MOST_MISTAKES } from '../validation.ts'
import { logStored } from './accept.ts'
import { EVENT_TYPES, isBinary, keepBodies, LARGEST_BODY, readEvents } from './event-bodies.ts'
import { type EventsAnswer, eventsAnswer } from './event-schemas.ts'
import { traceFor } from './headers.ts'
import { DryRunQuery, isDryRun, rehearsed, stores } from './rehearsal.ts'

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
    schema: { querystring: DryRunQuery, response: eventsAnswer },
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
    const results = known.length > 0 ? await carriedOut(request, known) : []
    const isDry = isDryRun(request)
    const turns = new Turns(TARGETS_A_TURN)
    for (const [i, result] of results.entries()) {
      const { event, answer } = known[i] as Known
      Object.assign(answer, { status: result.status, endings: result.endings })
      if (!isDry) logEvent(request, event, result)
      await turns.spend(1 + result.changed.length)
    }
    if (isDry) {
      const changed = results.flatMap((result) => result.changed.map(({ ending }) => ending))
      return rehearsed(request, reply, { events: answers }, changed)
    }
    for (const { status, type, id, detail } of answers)
      if (status === 'ignored') {
        request.log.warn({ sender: setting.sender, event: id, type, detail }, 'event.ignored')
        app.notices.eventTaken(type, status)
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
  request.server.bounds.mayTry(request, (proof) => proof === 'signature')
  if (isBinary(request)) throw await refused(request, 'no signature covers the headers of a binary event')
  const flaw = request.server.signatureFlaw(request.headers)
  if (flaw !== undefined) throw await refused(request, flaw)
}

async function onceSigned(request: FastifyRequest): Promise<void> {
  if (request.caller) return
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const name = request.server.signerOf(request.headers, body)
  if (name === undefined) throw await refused(request, 'no known secret made this signature of this body')
  request.server.bounds.proved(request, 'signature')
  request.caller = { name, operator: false }
  await request.server.bounds.count(request)
}

function refused(request: FastifyRequest, detail: string): Promise<Problem> {
  request.log.warn({ why: detail }, 'event.refused')
  const headers = { 'www-authenticate': 'Bearer realm="curfew"' }
  return request.server.bounds.failed(request, new Problem('unauthorized', detail, { headers }))
}

interface Known {
  event: KnownEvent
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
      known.push({ event: translation.event, answer })
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

async function carriedOut(request: FastifyRequest, known: Known[]): Promise<EventResult[]> {
  // What an event says of its own trace counts more than the header of the request that brings it.
  const events = known.map(({ event }) => ({ ...event, traceparent: event.traceparent ?? traceFor(request) }))
  const results = await stores(request).ledger.events(request.caller.name, events)
  if (Array.isArray(results)) return results
  throw new Problem(
    'in-progress',
    'an ending that these events are about is being carried out; send them again',
    {
      headers: { 'retry-after': '1' },
    },
  )
}

function logEvent(request: FastifyRequest, event: KnownEvent, result: EventResult) {
  const { source, id, type, subject, traceparent: own } = event
  const { status, endings, changed } = result
  const traceparent = own ?? traceFor(request)
  const about = { sender: request.caller.name, source, event: id, type, subject, traceparent }
  request.log.info({ ...about, endings }, `event.${status}`)
  request.server.notices.eventTaken(type, status)
  for (const { ending, how } of changed) logStored(request, ending, `ending.${how}`)
}
