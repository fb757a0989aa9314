import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { roomId, targetOf } from '../ending.ts'
import { Problem } from '../problem.ts'
import type { HoldRow, TimeLimitRow } from '../storage/schema.ts'
import type { RuleChanged } from '../storage/time-limits/rules.ts'
import type { RuleChange } from '../storage/time-limits/time-limit-store.ts'
import { formatTime } from '../time.ts'
import { EXTERNAL } from '../time-limits/rules.ts'
import { logStored } from './accept.ts'
import { timeOrNull } from './ending-view.ts'
import {
  HoldParams,
  type HoldView,
  holdAnswer,
  holdsAnswer,
  PageQuery,
  RuleParams,
  RuleRequest,
  RulesQuery,
  type RuleView,
  ruleAnswer,
  rulesAnswer,
} from './limit-schemas.ts'
import { DryRunQuery, isDryRun, rehearsed, stores } from './rehearsal.ts'
import { LIMIT, Nothing } from './schemas.ts'

/** Rules for how long sessions may last, and rooms that are kept closed. */
export const timeLimits: FastifyPluginAsyncTypebox = async (app) => {
  const { limits } = app
  app.addHook('onRequest', app.authenticate)

  app.route({
    method: 'PUT',
    url: '/v1/time-limits/:room',
    schema: { params: RuleParams, querystring: DryRunQuery, body: RuleRequest, response: ruleAnswer },
    handler: async (request, reply) => {
      const { maxMinutes, warnMinutes } = request.body
      checkWarnings(maxMinutes, warnMinutes)
      const room = nameOf(request.params.room)
      const rule = { room, requestedBy: request.caller.name, maxMinutes, warnMinutes }
      const change = await stores(request).limits.upsertRule(rule, request.caller)
      const { rule: row, created } = ruleOf(change.changed)
      if (isDryRun(request)) return rehearsed(request, reply, ruleView(row), endingsOf(change))
      logRule(request, row, change, 'time_limit.set')
      reply.status(created ? 201 : 200)
      return ruleView(row)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/time-limits',
    schema: { querystring: RulesQuery, response: rulesAnswer },
    handler: async ({ query }) => {
      const limit = Number(query.limit ?? LIMIT.byDefault)
      const rows = await limits.listRules(query.cursor, limit + 1)
      const more = rows.length > limit ? rows[limit - 1] : undefined
      return { data: rows.slice(0, limit).map(ruleView), nextCursor: more?.room ?? null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/time-limits/:room',
    schema: { params: RuleParams, querystring: Nothing, response: ruleAnswer },
    handler: async ({ params }) => {
      const row = await limits.findRule(nameOf(params.room))
      return ruleView(ruleOf(row ? { rule: row } : { obstacle: 'not-found' }).rule)
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/time-limits/:room',
    schema: { params: RuleParams, querystring: DryRunQuery, response: ruleAnswer },
    handler: async (request, reply) => {
      const change = await stores(request).limits.deleteRule(nameOf(request.params.room), request.caller)
      const { rule } = ruleOf(change.changed)
      if (isDryRun(request)) return rehearsed(request, reply, ruleView(rule), endingsOf(change))
      logRule(request, rule, change, 'time_limit.removed')
      return ruleView(rule)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/holds',
    schema: { querystring: PageQuery, response: holdsAnswer },
    handler: async ({ query }) => {
      const limit = Number(query.limit ?? LIMIT.byDefault)
      const rows = await limits.listHolds(query.cursor, limit + 1)
      const more = rows.length > limit ? rows[limit - 1] : undefined
      return { data: rows.slice(0, limit).map(holdView), nextCursor: more?.id ?? null }
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/holds/:id',
    schema: { params: HoldParams, querystring: DryRunQuery, response: holdAnswer },
    handler: async (request, reply) => {
      const answer = await stores(request).limits.liftHold(request.params.id, request.caller)
      if ('obstacle' in answer) throw new Problem(answer.obstacle, HOLD_DETAILS[answer.obstacle])
      if (isDryRun(request)) return rehearsed(request, reply, holdView(answer.hold), answer.takenBack)
      const { id, room, requested_by: requestedBy } = answer.hold
      request.log.info({ hold: id, room, requestedBy, by: request.caller.name }, 'hold.lifted')
      for (const ending of answer.takenBack) logStored(request, ending, 'ending.cancelled')
      return holdView(answer.hold)
    },
  })
}

const RULE_DETAILS = {
  'not-found': 'there is no rule for this room',
  forbidden: 'only the caller that made a rule, or an operator, may change it',
}
const HOLD_DETAILS = {
  'not-found': 'there is no hold with this id that is still in force or to come',
  forbidden: 'only the caller that keeps a room closed, or an operator, may open it again',
}

// UUIDs are compared without regard to case.
const nameOf = (room: string) => (room.startsWith(EXTERNAL) ? room : roomId(room))

function ruleOf(changed: RuleChanged) {
  if ('obstacle' in changed) throw new Problem(changed.obstacle, RULE_DETAILS[changed.obstacle])
  return changed
}

const endingsOf = ({ observed }: RuleChange) => observed.map(({ ending }) => ending)

/** A warning that would come before the session has begun warns of nothing. */
function checkWarnings(maxMinutes: number, warnMinutes: number[] = []): void {
  const mistakes = warnMinutes.flatMap((minutes, i) =>
    minutes < maxMinutes
      ? []
      : {
          pointer: `/warnMinutes/${i}`,
          detail: `must be less than maxMinutes (${maxMinutes}): people are warned while the session lasts`,
        },
  )
  const [first] = mistakes
  if (first) throw new Problem('invalid', `${first.pointer} ${first.detail}`, { mistakes })
}

function logRule(
  request: FastifyRequest,
  rule: TimeLimitRow,
  { observed, trouble }: RuleChange,
  event: string,
): void {
  const { room, requested_by: requestedBy, max_minutes: maxMinutes } = rule
  const { traceparent } = request
  const about = { room, requestedBy, maxMinutes, by: request.caller.name }
  request.log.info(traceparent === undefined ? about : { ...about, traceparent }, event)
  for (const { ending, how } of observed) logStored(request, ending, `ending.${how}`)
  if (trouble !== undefined) request.log.warn({ err: trouble, room }, 'time_limit.to_be_continued')
}

export function ruleView(row: TimeLimitRow): RuleView {
  return {
    room: row.room,
    maxMinutes: row.max_minutes,
    warnMinutes: row.warn_minutes === null ? null : JSON.parse(row.warn_minutes),
    requestedBy: row.requested_by,
    createdAt: formatTime(row.created_at),
    updatedAt: formatTime(row.updated_at),
  }
}

export function holdView(row: HoldRow): HoldView {
  return {
    id: row.id,
    target: targetOf(row.room_kind, row.room),
    holdFrom: formatTime(row.from_at),
    holdUntil: timeOrNull(row.until_at),
    requestedBy: row.requested_by,
    reason: row.reason,
    subject: row.subject,
    ending: row.ending_id,
    createdAt: formatTime(row.created_at),
    liftedAt: timeOrNull(row.lifted_at),
    liftedBy: row.lifted_by,
  }
}
