import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { LiveSession, OneSession } from '../digital-samba/answers.ts'
import type { CallContext } from '../digital-samba/client.ts'
import { DigitalSambaError, NotFoundError, WrongStateError } from '../digital-samba/errors.ts'
import { type Ending, targetOf } from '../ending.ts'
import { Problem } from '../problem.ts'
import { CLOCK_DOUBT_MS } from '../storage/in-force.ts'
import type { EndingRow, SessionRow } from '../storage/schema.ts'
import { formatTime } from '../time.ts'
import { RANK } from '../worker/budget.ts'
import { CallsHeldError } from '../worker/call-gate.ts'
import { detailed } from './ending-details.ts'
import { attemptView, inForceView, timeOrNull, warningView } from './ending-view.ts'
import {
  type Receipt,
  ReceiptParams,
  receiptAnswer,
  SessionParams,
  SessionsQuery,
  type SessionView,
  sessionAnswer,
  sessionsAnswer,
} from './limit-schemas.ts'
import { Nothing } from './schemas.ts'
import { holdView, ruleView } from './time-limits.ts'

// All that somebody on call can take in; a session has a handful.
const MOST_ENDINGS = 100

/** What is live, what will end it, and why: the questions that somebody on call asks. */
export const sessions: FastifyPluginAsyncTypebox = async (app) => {
  const { ledger, limits, digitalSamba } = app
  app.addHook('onRequest', app.authenticate)

  app.route({
    method: 'GET',
    url: '/v1/sessions',
    schema: { querystring: SessionsQuery, response: sessionsAnswer },
    handler: async (request) => {
      const context = asking(request)
      const { sessions: found, next } = await askable(
        digitalSamba.livePage(undefined, request.query.cursor, context),
      )
      const data = await Promise.all(
        found.map(async (session) => {
          const [first] = await limits.pendingFor(asRow(session))
          const { id, startedAt, participants } = session
          return {
            id,
            room: roomOf(session),
            startedAt: formatTime(startedAt),
            participants,
            inForce: inForceView(first),
          }
        }),
      )
      return { data, nextCursor: next ?? null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/sessions/:sessionId',
    schema: { params: SessionParams, querystring: Nothing, response: sessionAnswer },
    handler: async (request) => {
      const id = request.params.sessionId.toLowerCase()
      const [known, seen] = await Promise.all([limits.knownSession(id), lookUp(request, id)])
      const row =
        known ?? (seen?.startedAt === undefined ? undefined : asRow({ ...seen, startedAt: seen.startedAt }))
      const endings = await limits.allFor(row ?? { id }, MOST_ENDINGS)
      if (!row && endings.length === 0)
        throw new Problem('not-found', 'nothing is known of a session with this id')
      return whole(app, id, row, seen, endings)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/endings/:id/receipt',
    schema: { params: ReceiptParams, querystring: Nothing, response: receiptAnswer },
    handler: async ({ params }): Promise<Receipt> => {
      const row = await ledger.find(params.id)
      if (!row) throw new Problem('not-found', 'there is no ending with this id')
      const [attempts, warnings] = await Promise.all([ledger.attempts(row.id), limits.warningsOf(row.id)])
      const first = attempts[0]?.started_at
      return {
        ending: row.id,
        target: targetOf(row.target_kind, row.target_id),
        askedBy: row.requested_by,
        reason: row.reason,
        key: row.key,
        subject: row.subject,
        askedAt: formatTime(row.created_at),
        dueAt: formatTime(row.due_at),
        state: row.state,
        outcome: row.outcome,
        failure: row.failure,
        firstCallAt: timeOrNull(first ?? null),
        latenessMs: first === undefined ? null : first - row.due_at,
        finishedAt: timeOrNull(row.finished_at),
        confirmedAt: timeOrNull(row.confirmed_at),
        calls: attempts.map(attemptView),
        warnings: warnings.map(warningView),
        metadata: JSON.parse(row.metadata),
        issuedAt: formatTime(ledger.clock.now()),
      }
    },
  })
}

/** Everything that is known of one session. */
async function whole(
  app: Pick<FastifyInstance, 'ledger' | 'limits'>,
  id: string,
  row: SessionRow | undefined,
  seen: OneSession | undefined,
  endings: EndingRow[],
): Promise<SessionView> {
  const { limits } = app
  const [first] = await limits.pendingFor(row ?? { id })
  const rule = row && (await limits.ruleFor(row))
  const holds = row ? await limits.holdsFor(row) : []
  const live = seen ? seen.live : row?.over_at != null ? false : null
  const told = await Promise.all(endings.map((ending) => detailed(app, ending)))
  return {
    id,
    room: row ? { id: row.room_id, friendlyUrl: row.friendly_url, externalId: row.external_id } : null,
    startedAt: timeOrNull(row?.started_at ?? null),
    live,
    participants: seen?.participants ?? null,
    overAt: timeOrNull(row?.over_at ?? null),
    inForce: inForceView(live === false ? undefined : first),
    why: why(id, live, first, told.filter(isAbout(row?.started_at ?? 0))),
    rule: rule ? ruleView(rule) : null,
    holds: holds.map(holdView),
    endings: told,
  }
}

/** Whether an ending is about a session that began then: what its room was due before is none of its business. */
const isAbout =
  (startedAt: number) =>
  ({ target, dueAt }: Ending) =>
    target.session !== undefined || Date.parse(dueAt) >= startedAt - CLOCK_DOUBT_MS

/** The answer to "why?", in a sentence. */
function why(id: string, live: boolean | null, inForce: EndingRow | undefined, endings: Ending[]): string {
  // An ending of its room may have ended another session.
  const ended = endings
    .filter(({ attempts }) => attempts?.some(({ session, result }) => session === id && result === 'ended'))
    .sort((a, b) => ((a.finishedAt ?? '') < (b.finishedAt ?? '') ? -1 : 1))[0]
  if (ended && live !== true)
    return `It ended because ${ended.requestedBy} asked for it (${ended.reason}), due at ${ended.dueAt}.`
  if (inForce && live !== false)
    return `It will be ended at ${formatTime(inForce.due_at)} because ${inForce.requested_by} asked for it (${inForce.reason}); of all that are pending for it that is the earliest.`
  const failed = endings.find(({ state }) => state === 'failed')
  if (failed && live !== false)
    return `It was not ended: what ${failed.requestedBy} asked for (${failed.reason}) failed as ${failed.failure}.`
  if (live === false) return 'It ended by itself, or by somebody else: no ending here ended it.'
  return 'Nobody has asked for its end.'
}

/** As the far side tells it; undefined where it knows none, or cannot be asked just now: then the ledger has to do. */
async function lookUp(request: FastifyRequest, id: string): Promise<OneSession | undefined> {
  try {
    return await request.server.digitalSamba.session(id, asking(request))
  } catch (error) {
    if (error instanceof DigitalSambaError || error instanceof CallsHeldError) return undefined
    throw error
  }
}

const PATIENCE_MS = 3000

/** Calls for somebody who is waiting: before sweeps, behind endings, and not for long. */
function asking(request: FastifyRequest): CallContext {
  const { gate, ledger } = request.server
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)])
  const admit = async () =>
    (await gate.permit({ rank: RANK.warning, at: ledger.clock.now() }, signal)).spend()
  return { signal, admit, made: gate.observe.bind(gate) }
}

async function askable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    // What was asked has nothing else that could be wrong.
    if (error instanceof NotFoundError || error instanceof WrongStateError)
      throw new Problem('not-found', 'there is no page behind this cursor')
    if (!(error instanceof DigitalSambaError || error instanceof CallsHeldError)) throw error
    throw new Problem('far-side-unavailable', error.message, { headers: { 'retry-after': '5' } })
  }
}

function roomOf({ roomId, friendlyUrl, externalId }: LiveSession) {
  return { id: roomId, friendlyUrl, externalId }
}

/** As the ledger would keep it. */
function asRow({ id, startedAt, roomId, friendlyUrl, externalId }: LiveSession): SessionRow {
  return {
    id,
    started_at: startedAt,
    room_id: roomId,
    friendly_url: friendlyUrl,
    external_id: externalId,
    seen_at: 0,
    over_at: null,
    limit_ending: null,
    limit_room: null,
    limit_due: null,
    hold_ending: null,
  }
}
