import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Hold, type Instruction, METADATA_BYTES, type Target } from '../ending.ts'
import { traceOf } from '../ending-log.ts'
import { invalid } from '../problem.ts'
import type { EndingRow } from '../storage/schema.ts'
import { formatTime, oneYearAfter, parseTime } from '../time.ts'
import { besides } from './besides.ts'
import type { Ending } from './ending-schemas.ts'
import { endingView, holdFields } from './ending-view.ts'
import { idempotentRequest, preferredWait, traceFor } from './headers.ts'
import { endingOf } from './obstacles.ts'
import { isDryRun, rehearsed, stores } from './rehearsal.ts'
import type { EndRequest } from './schemas.ts'

const DEFAULT_REASON = 'requested'
const DAY_MS = 24 * 3_600_000

/** Stores what is asked for and answers 202; or 200, where the caller prefers to wait and it is over in time. */
export async function accept(
  request: FastifyRequest,
  reply: FastifyReply,
  target: Target,
  body: EndRequest,
): Promise<Ending> {
  const { limits, waiting } = request.server
  const { ledger } = stores(request)
  const traceparent = traceFor(request)
  const asked = { ...instructionOf(request.caller.name, target, body, ledger.clock.now()), traceparent }
  const answer = endingOf(await ledger.store(asked, idempotentRequest(request)))
  const { ending, replayed, replaced, takenBack = [] } = answer
  const isDry = isDryRun(request)
  const seconds = isDry ? 0 : preferredWait(request)
  // Before anything else is waited for: it could be over by then, and is told of once.
  const over = seconds > 0 ? waiting.until(request, ending, seconds * 1000) : undefined
  if (replayed) reply.header('idempotency-replayed', 'true')
  else logStored(request, ending, replaced ? 'ending.replaced' : 'ending.accepted')
  for (const other of takenBack) logStored(request, other, 'ending.cancelled')
  const hold = replayed ? await besides(request, () => limits.holdOfEnding(ending.id)) : asRow(asked.hold)
  if (isDry) {
    const answer = { ...endingView(ending), ...holdFields(hold) }
    return rehearsed(request, reply, answer, replayed ? [] : [ending])
  }
  reply.status(202).header('location', `/v1/endings/${ending.id}`)
  if (over) reply.header('preference-applied', `wait=${seconds}`)
  const after = over ? await over : ending
  if (over && after.state !== 'pending') reply.status(200)
  return { ...endingView(after), ...holdFields(hold) }
}

const asRow = (hold: Hold | undefined) => hold && { from_at: hold.from, until_at: hold.until }

function instructionOf(requestedBy: string, target: Target, body: EndRequest, now: number): Instruction {
  const metadata = body.metadata ?? {}
  if (Buffer.byteLength(JSON.stringify(metadata)) > METADATA_BYTES)
    throw invalid('/metadata', `must be an object of at most ${METADATA_BYTES} bytes of JSON`)
  const dueAt = body.dueAt === undefined ? now : dueTime(body.dueAt, now)
  return {
    target,
    dueAt,
    reason: body.reason ?? DEFAULT_REASON,
    requestedBy,
    key: body.key ?? null,
    subject: null,
    urgent: body.urgent ?? false,
    metadata,
    warnMinutes: body.warnMinutes,
    hold: holdOf(target, body, dueAt, now),
  }
}

/** From its due time, unless it says otherwise. */
function holdOf(
  target: Target,
  { holdFrom, holdUntil }: EndRequest,
  dueAt: number,
  now: number,
): Hold | undefined {
  if (holdUntil === undefined) {
    if (holdFrom !== undefined) throw invalid('/holdUntil', 'is required beside holdFrom: a time')
    return undefined
  }
  if (target.session !== undefined)
    throw invalid('/holdUntil', 'must be absent: only a room can be kept closed')
  const from = holdFrom === undefined ? dueAt : (parseTime(holdFrom) as number)
  const until = parseTime(holdUntil) as number
  if (until <= from)
    throw invalid('/holdUntil', 'must be later than holdFrom, which is dueAt where it is absent')
  if (until <= now) throw invalid('/holdUntil', 'must be ahead')
  if (until > oneYearAfter(now)) throw invalid('/holdUntil', 'must be at most a year ahead')
  return { from, until }
}

const LONGEST_PAST_DAYS = 7

/**
 * `text` has passed as RFC 3339. A time that is past is due at once and stays what it was: only who had begun by then
 * is its business. One that is long past is a mistake.
 */
export function dueTime(text: string, now: number): number {
  const dueAt = parseTime(text) as number
  if (dueAt > oneYearAfter(now)) throw invalid('/dueAt', 'must be at most a year ahead')
  if (dueAt < now - LONGEST_PAST_DAYS * DAY_MS)
    throw invalid('/dueAt', `must be at most ${LONGEST_PAST_DAYS} days ago`)
  return dueAt
}

/** One line for each change that somebody asked for, and who it was; none where it was only tried out. */
export function logStored(request: FastifyRequest, ending: EndingRow, event: string): void {
  if (isDryRun(request)) return
  const { log, caller } = request
  const { id, target_kind, target_id, requested_by: requestedBy, reason, due_at, key } = ending
  const about = {
    ending: id,
    target: `${target_kind}:${target_id}`,
    requestedBy,
    by: caller.name,
    reason,
    key,
    ...traceOf(ending),
  }
  log.info({ ...about, dueAt: formatTime(due_at) }, event)
}
