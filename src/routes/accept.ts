import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Clock, sleepUntil } from '../clock.ts'
import { type Ending, type Hold, type Instruction, METADATA_BYTES, type Target } from '../ending.ts'
import { invalid } from '../problem.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'
import { formatTime, oneYearAfter, parseTime } from '../time.ts'
import { endingView, holdFields } from './ending-view.ts'
import { idempotentRequest, preferredWait } from './headers.ts'
import { endingOf } from './obstacles.ts'
import type { EndRequest } from './schemas.ts'

const DEFAULT_REASON = 'requested'
// Another replica may be the one that ends it, and its word does not reach this process.
const LOOK_EVERY_MS = 500

/** Stores what is asked for and answers 202; or 200, where the caller prefers to wait and it is over in time. */
export async function accept(
  request: FastifyRequest,
  reply: FastifyReply,
  target: Target,
  body: EndRequest,
): Promise<Ending> {
  const { ledger } = request.server
  const wish = instruction(request.caller.name, target, body, ledger.clock.now())
  const answer = endingOf(await ledger.put(wish, idempotentRequest(request)))
  const { ending } = answer
  if (answer.replayed) reply.header('idempotency-replayed', 'true')
  else logStored(request, ending, answer.replaced ? 'ending.replaced' : 'ending.accepted')
  for (const other of answer.takenBack ?? []) logStored(request, other, 'ending.cancelled')
  reply.header('location', `/v1/endings/${ending.id}`)
  const seconds = preferredWait(request)
  reply.status(202)
  const hold = holdFields(
    answer.replayed || wish.hold ? await request.server.limits.holdOfEnding(ending.id) : undefined,
  )
  if (seconds === 0) return { ...endingView(ending), ...hold }
  reply.header('preference-applied', `wait=${seconds}`)
  const gone = AbortSignal.any([request.signal, request.server.closing])
  const after = await waitFor(ledger, ending, seconds * 1000, gone)
  if (after.state !== 'pending') reply.status(200)
  return { ...endingView(after), ...hold }
}

function instruction(requestedBy: string, target: Target, body: EndRequest, now: number): Instruction {
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

/** `text` has passed as RFC 3339. What is past is due now. */
export function dueTime(text: string, now: number): number {
  const dueAt = parseTime(text) as number
  if (dueAt > oneYearAfter(now)) throw invalid('/dueAt', 'must be at most a year ahead')
  return Math.max(dueAt, now)
}

/** One line for each change that somebody asked for, and who it was. */
export function logStored({ log, caller }: FastifyRequest, ending: EndingRow, event: string): void {
  const { id, target_kind, target_id, requested_by: requestedBy, reason, due_at, key } = ending
  const about = {
    ending: id,
    target: `${target_kind}:${target_id}`,
    requestedBy,
    by: caller.name,
    reason,
    key,
  }
  log.info({ ...about, dueAt: formatTime(due_at) }, event)
}

/** The ending as it is once it is over, or as it is after `ms`, or when the caller has gone or the service stops. */
async function waitFor(ledger: Ledger, ending: EndingRow, ms: number, gone: AbortSignal): Promise<EndingRow> {
  const { clock } = ledger
  const until = clock.now() + ms
  let latest = ending
  while (latest.state === 'pending' && clock.now() < until && !gone.aborted) {
    await firstOf(ledger, clock, ending.id, Math.min(until, clock.now() + LOOK_EVERY_MS), gone)
    latest = (await ledger.find(ending.id)) ?? latest
  }
  return latest
}

async function firstOf(ledger: Ledger, clock: Clock, id: string, until: number, gone: AbortSignal) {
  const either = new AbortController()
  const stop = () => either.abort()
  gone.addEventListener('abort', stop, { once: true, signal: either.signal })
  await Promise.race([ledger.finished(id, either.signal), sleepUntil(clock, until, either.signal)])
  stop()
}
