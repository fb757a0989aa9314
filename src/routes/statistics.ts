import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { invalid } from '../problem.ts'
import { type Point, STEPS, type Step } from '../storage/statistics/points.ts'
import { formatTime, parseTime } from '../time.ts'
import { type StatisticsPoint, StatisticsQuery, statisticsAnswer } from './statistics-schemas.ts'

/** How many points one answer has, and how many where nobody says from when. */
const POINTS: Record<Step, { most: number; byDefault: number }> = {
  minute: { most: 1440, byDefault: 60 },
  hour: { most: 744, byDefault: 24 },
  day: { most: 366, byDefault: 30 },
}

/** What happened, by the minute, hour or day: for whoever has a key. */
export const statistics: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', app.authenticate)
  app.route({
    method: 'GET',
    url: '/v1/statistics',
    schema: { querystring: StatisticsQuery, response: statisticsAnswer },
    handler: async ({ query }) => {
      const { step, from, to } = spanOf(query, app.ledger.clock.now())
      const points = await app.ledger.statistics(step, from, to)
      return { step, from: formatTime(from), to: formatTime(to), data: points.map(pointView) }
    },
  })
}

/** Which points are asked for: those that have something of the time from `from` to `to`, so these are whole steps. */
function spanOf({ step = 'minute', ...asked }: StatisticsQuery, now: number) {
  const { ms } = STEPS[step]
  const { most, byDefault } = POINTS[step]
  const to = timeOf(asked.to) ?? now
  const from = timeOf(asked.from) ?? to - byDefault * ms
  if (from >= to) throw invalid('/from', `must be before to, which is ${formatTime(to)}`)
  if (to - from > most * ms) {
    const earliest = formatTime(to - most * ms)
    throw invalid(
      '/from',
      `must be ${earliest} or later: one answer has at most ${most} points${wider(step)}`,
    )
  }
  return { step, from: Math.floor(from / ms) * ms, to: Math.ceil(to / ms) * ms }
}

function wider(step: Step): string {
  if (step === 'day') return ''
  return step === 'hour' ? ', and step=day has fewer' : ', and step=hour has fewer'
}

function timeOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseTime(text)
}

function pointView({ at, ...counts }: Point): StatisticsPoint {
  return { at: formatTime(at), ...counts }
}
