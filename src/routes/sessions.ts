import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { CLOCK_DOUBT_MS } from '../clock.ts'
import type { ListedSession, OneSession } from '../digital-samba/answers.ts'
import { NotFoundError, WrongStateError } from '../digital-samba/errors.ts'
import { targetOf } from '../ending.ts'
import { Problem } from '../problem.ts'
import type { EndingRow, SessionRow } from '../storage/schema.ts'
import { formatTime } from '../time.ts'
import { detailed } from './ending-details.ts'
import type { Ending } from './ending-schemas.ts'
import { attemptView, inForceView, latenessOf, timeOrNull, warningView } from './ending-view.ts'
import {
  type EndedBy,
  type Receipt,
  ReceiptParams,
  receiptAnswer,
  SessionParams,
  SessionQuery,
  SessionsQuery,
  type SessionView,
  sessionAnswer,
  sessionsAnswer,
} from './limit-schemas.ts'
import { asRow, isUnanswered, lookUp, seenRow } from './look-up.ts'
import { Nothing } from './schemas.ts'
import { holdView, ruleView } from './time-limits.ts'
import { endedBy, type Known, whyOf } from './why.ts'

// Of its own, and as many of its room: all that somebody on call can take in.
const MOST_ENDINGS = 100

/** What is live, what will end it, and why: the questions that somebody on call asks. */
export const sessions: FastifyPluginAsyncTypebox = async (app) => {
  const { ledger, limits, lookUps } = app
  app.addHook('onRequest', app.authenticate)

  app.route({
    method: 'GET',
    url: '/v1/sessions',
    schema: { querystring: SessionsQuery, response: sessionsAnswer },
    handler: async (request) => {
      const { sessions: found, next } = await askable(lookUps.livePage(request.query.cursor))
      const data = await Promise.all(
        found.map(async (session) => {
          const [first] = await limits.pendingFor(asRow(session))
          const { id, startedAt, participants } = session
          return {
            id,
            room: roomOf(session),
            startedAt: timeOrNull(startedAt ?? null),
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
    schema: { params: SessionParams, querystring: SessionQuery, response: sessionAnswer },
    handler: async (request) => {
      const id = request.params.sessionId.toLowerCase()
      const [known, found] = await Promise.all([limits.knownSession(id), lookUp(request, id)])
      const seen = found && 'live' in found ? found : undefined
      const row = known ?? (seen && seenRow(seen))
      const endings = await limits.allFor(row ?? { id }, MOST_ENDINGS)
      if (!row && endings.length === 0 && found && 'unanswered' in found) throw unavailable(found.unanswered)
      if (!row && !seen && endings.length === 0)
        throw new Problem('not-found', 'nothing is known of a session with this id')
      return whole(app, { id, row, seen, endings, isRoomShown: request.query.include === 'room' })
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
      // It may have been tried for an earlier time, and then moved.
      const inTime = attempts.find(({ started_at }) => started_at >= row.due_at)
      return {
        ending: row.id,
        target: targetOf(row.target_kind, row.target_id),
        requestedBy: row.requested_by,
        reason: row.reason,
        key: row.key,
        subject: row.subject,
        createdAt: formatTime(row.created_at),
        dueAt: formatTime(row.due_at),
        state: row.state,
        outcome: row.outcome,
        failure: row.failure,
        firstCallAt: timeOrNull(first ?? null),
        latenessMs: inTime === undefined ? null : latenessOf(row, inTime.started_at),
        finishedAt: timeOrNull(row.finished_at),
        confirmedAt: timeOrNull(row.confirmed_at),
        attempts: attempts.map(attemptView),
        warnings: warnings.map(warningView),
        metadata: JSON.parse(row.metadata),
        issuedAt: formatTime(ledger.clock.now()),
      }
    },
  })
}

interface Found {
  id: string
  row: SessionRow | undefined
  seen: OneSession | undefined
  /** every ending for it or for its room */
  endings: EndingRow[]
  isRoomShown: boolean
}

/** Everything that is known of one session; of the other endings of its room, only where they are asked for. */
async function whole(
  app: Pick<FastifyInstance, 'ledger' | 'limits' | 'gate'>,
  { id, row, seen, endings, isRoomShown }: Found,
): Promise<SessionView> {
  const { limits, ledger, gate } = app
  const live = seen ? seen.live : row?.over_at != null ? false : null
  const pending = live === false ? [] : await limits.pendingFor(row ?? { id })
  const [first] = pending
  const rule = row && (await limits.ruleFor(row))
  const holds = row ? await limits.holdsFor(row) : []
  const told = await Promise.all(endings.map((ending) => detailed(app, ending)))
  const inForce = first && (told.find((ending) => ending.id === first.id) ?? (await detailed(app, first)))
  const { state, since } = gate.status()
  const known: Known = {
    id,
    live,
    inForce,
    endings: told.filter(isAbout(id, row?.started_at ?? 0)),
    now: ledger.clock.now(),
    refusedSince: state === 'refused' ? since : undefined,
  }
  const isItsOwn = ({ id: ending, target, attempts }: Ending) =>
    target.session === id ||
    attempts?.some(({ session }) => session === id) ||
    pending.some((other) => other.id === ending)
  return {
    id,
    room: row ? { id: row.room_id, friendlyUrl: row.friendly_url, externalId: row.external_id } : null,
    startedAt: timeOrNull(row?.started_at ?? null),
    live,
    participants: seen?.participants ?? null,
    overAt: timeOrNull(row?.over_at ?? null) ?? (live ? null : confirmedOf(id, endings)),
    inForce: inForceView(first),
    endedBy: endedByView(endedBy(known)),
    why: whyOf(known),
    rule: rule ? ruleView(rule) : null,
    holds: holds.map(holdView),
    endings: isRoomShown ? told : told.filter(isItsOwn),
  }
}

function endedByView(ending: Ending | undefined): EndedBy | null {
  return ending ? { id: ending.id, requestedBy: ending.requestedBy, reason: ending.reason } : null
}

/** Whether an ending is about a session that began then: what its room was due before is none of its business. */
const isAbout =
  (id: string, startedAt: number) =>
  ({ target, dueAt, attempts }: Ending) =>
    target.session !== undefined ||
    Date.parse(dueAt) >= startedAt - CLOCK_DOUBT_MS ||
    attempts?.some(({ session }) => session === id)

/** When a session that was not kept was seen to be over: that is written with the ending of its own. */
function confirmedOf(id: string, endings: EndingRow[]): string | null {
  const own = endings.find((ending) => ending.target_id === id && ending.confirmed_at !== null)
  return timeOrNull(own?.confirmed_at ?? null)
}

async function askable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    // What was asked has nothing else that could be wrong.
    if (error instanceof NotFoundError || error instanceof WrongStateError)
      throw new Problem('not-found', 'there is no page behind this cursor')
    if (!isUnanswered(error)) throw error
    throw unavailable(error)
  }
}

function unavailable({ message }: Error): Problem {
  return new Problem('upstream-unavailable', message, { headers: { 'retry-after': '5' } })
}

function roomOf({ roomId, friendlyUrl, externalId }: ListedSession) {
  return { id: roomId, friendlyUrl, externalId }
}
