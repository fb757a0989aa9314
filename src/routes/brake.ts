import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Pause } from '../calls/brake.ts'
import { invalid, Problem, ProblemDocument } from '../problem.ts'
import { changeMany } from '../storage/many-store.ts'
import { EVERYBODY } from '../storage/pauses.ts'
import { formatTime } from '../time.ts'
import { logStored } from './accept.ts'
import { CallerName, closed, Nothing } from './schemas.ts'

const ReasonText = Type.String({ minLength: 1, maxLength: 500, description: 'a text of 1 to 500 characters' })
const PauseRequest = closed({ reason: ReasonText, caller: Type.Optional(CallerName) })
const MISSED = ['do', 'cancel'] as const
const ResumeRequest = closed({
  caller: Type.Optional(CallerName),
  missed: Type.Unsafe<(typeof MISSED)[number]>({
    type: 'string',
    enum: [...MISSED],
    description: 'do (what came due meanwhile is carried out) or cancel (it is taken back)',
  }),
})

/** A pause that is in force, as people see it; `caller` is null where everything is paused. */
export const PauseView = Type.Object({
  caller: Type.Union([Type.String(), Type.Null()]),
  reason: Type.String(),
  pausedBy: Type.String(),
  since: Type.String(),
})
const Paused = Type.Object({ ...PauseView.properties, callsOnTheirWay: Type.Boolean() })
const Resumed = Type.Object({
  ...PauseView.properties,
  resumedAt: Type.String(),
  cancelled: Type.Integer(),
  pauses: Type.Array(PauseView),
})
const problems = { '4xx': ProblemDocument, '5xx': ProblemDocument }

/** The brake: no call leaves any more, for all or for one caller's endings, until somebody lets them go on. */
export const brake: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', app.authenticate)
  app.addHook('preHandler', operatorsOnly)

  app.route({
    method: 'POST',
    url: '/v1/pause',
    schema: { querystring: Nothing, body: PauseRequest, response: { 200: Paused, ...problems } },
    handler: async ({ body, caller, log }) => {
      if (body.caller !== undefined) await mustBeKnown(body.caller)
      const who = body.caller ?? EVERYBODY
      const asked = { caller: who, paused_by: caller.name, reason: body.reason }
      const { pause, isStill } = await app.gate.brake.pause(asked)
      log.warn({ ...pauseView(pause), isStill }, 'calls.paused')
      return { ...pauseView(pause), callsOnTheirWay: !isStill }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/resume',
    schema: { querystring: Nothing, body: ResumeRequest, response: { 200: Resumed, ...problems } },
    handler: async (request) => {
      const { body, caller, log } = request
      const who = body.caller ?? EVERYBODY
      await app.gate.brake.reload()
      if (!app.gate.brake.pauses.some((pause) => pause.caller === who)) throw notPaused(body.caller)
      const cancelled = body.missed === 'cancel' ? await takeBackMissed(request, body.caller) : 0
      const pause = await app.gate.brake.resume(who)
      if (!pause) throw notPaused(body.caller)
      const resumedAt = formatTime(app.ledger.clock.now())
      log.warn({ ...pauseView(pause), by: caller.name, missed: body.missed, cancelled }, 'calls.resumed')
      return { ...pauseView(pause), resumedAt, cancelled, pauses: app.gate.brake.pauses.map(pauseView) }
    },
  })

  /** A name that nobody has would stop nothing, and whoever asked for it would think otherwise. */
  async function mustBeKnown(name: string): Promise<void> {
    if (app.callers.has(name)) return
    const [one] = await app.ledger.list({ requestedBy: name, state: 'pending' }, 1)
    if (one) return
    throw invalid('/caller', `must be a caller's name: known are ${[...app.callers].sort().join(', ')}`)
  }
}

async function operatorsOnly({ caller }: FastifyRequest): Promise<void> {
  if (!caller.operator) throw new Problem('forbidden', 'only an operator may do this')
}

/** While nothing is claimed yet: what is due by now, the oldest first. */
async function takeBackMissed(request: FastifyRequest, requestedBy: string | undefined): Promise<number> {
  const { caller, server } = request
  const dueBefore = server.ledger.clock.now() + 1
  const filter = { dueBefore, ...(requestedBy === undefined ? {} : { requestedBy }) }
  const onChanged = (ending: Parameters<typeof logStored>[1]) =>
    logStored(request, ending, 'ending.cancelled')
  let cancelled = 0
  for (let isMore = true; isMore; ) {
    const many = { change: 'cancel', filter, caller, isRehearsal: false, onChanged } as const
    const done = await changeMany(server.ledger, many)
    cancelled += done.changed.length
    isMore = done.isMore
  }
  return cancelled
}

function notPaused(caller: string | undefined): Problem {
  const what = caller === undefined ? 'calls are not paused for everybody' : `${caller} is not paused`
  return new Problem('not-paused', `${what}; GET /status lists what is`)
}

export function pauseView({ caller, reason, paused_by, since }: Pause): Static<typeof PauseView> {
  return {
    caller: caller === EVERYBODY ? null : caller,
    reason,
    pausedBy: paused_by,
    since: formatTime(since),
  }
}
