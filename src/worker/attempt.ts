import { CallsHeldError } from '../calls/gate.ts'
import { CLOCK_DOUBT_MS } from '../clock.ts'
import { isStartKnown, type ListedSession, type LiveSession } from '../digital-samba/answers.ts'
import type { CallContext, DigitalSamba } from '../digital-samba/client.ts'
import {
  AbortedCallError,
  DigitalSambaError,
  ForbiddenError,
  MalformedAnswerError,
  NotFoundError,
  RateLimitedError,
  UnauthorizedError,
  WrongStateError,
} from '../digital-samba/errors.ts'
import type { Failure, Result } from '../ending.ts'
import type { Call } from '../storage/endings/attempts.ts'
import { newId } from '../storage/engine/ids.ts'
import type { EndingRow } from '../storage/schema.ts'
import type { SharedListing } from './listing.ts'

/** What one attempt came to. */
export type Conclusion =
  | { kind: 'ended' }
  | { kind: 'over'; outcome: 'already_ended' | 'nothing_live' }
  | { kind: 'failed'; failure: Failure; why: string }
  | { kind: 'retry'; why: string; retryAfterMs: number | undefined }
  /** Nothing was learnt about this ending: calls may not leave, or the attempt was cut short. */
  | { kind: 'released'; why: string }

export interface AttemptReport {
  conclusion: Conclusion
  /** every end call, in order */
  calls: Call[]
  /** live sessions in the room that had not begun when the ending was due: somebody else's meeting */
  leftAlone: LiveSession[]
  /** what nobody thought of: it is tried again like all that fails, and the log has to tell of it */
  defect?: unknown
}

export interface AttemptTools {
  digitalSamba: DigitalSamba
  listing: SharedListing
  context: CallContext
}

interface Found {
  sessions: string[]
  leftAlone: LiveSession[]
  /** whether a session in the room was told without an id, so that it could not be ended */
  isIncomplete: boolean
}

/** Resolve the target, end each session, conclude. Never throws. */
export async function attempt(ending: EndingRow, tools: AttemptTools): Promise<AttemptReport> {
  const calls: Call[] = []
  let leftAlone: LiveSession[] = []
  try {
    const found = await resolve(ending, tools)
    leftAlone = found.leftAlone
    const verdicts: Verdict[] = []
    for (const session of found.sessions) verdicts.push(await endOne(session, tools, calls))
    return { conclusion: conclude(ending, verdicts, found), calls, leftAlone }
  } catch (error) {
    const conclusion = cutShort(ending, error)
    if (conclusion) return { conclusion, calls, leftAlone }
    const why = 'it could not be carried out by a defect of Curfew; the log says more (worker.trouble)'
    return { conclusion: { kind: 'retry', why, retryAfterMs: undefined }, calls, leftAlone, defect: error }
  }
}

/** Which sessions are this ending's business. */
export async function resolve(ending: EndingRow, tools: AttemptTools): Promise<Found> {
  const { target_kind: kind, target_id: id } = ending
  if (kind === 'session') return { sessions: [id], leftAlone: [], isIncomplete: false }
  let isIncomplete = false
  const onNameless = () => {
    isIncomplete = true
  }
  // In the list of all rooms it is probably another's, and must not keep everybody's ending from being over.
  const listed =
    kind === 'room' ? await liveInRoom(id, tools, onNameless) : await liveByExternalId(ending, tools)
  const live = await startsKnown(listed, tools)
  const startedInTime = ({ startedAt }: LiveSession) => startedAt <= ending.due_at + CLOCK_DOUBT_MS
  return {
    sessions: live.filter(startedInTime).map((session) => session.id),
    leftAlone: live.filter((session) => !startedInTime(session)),
    isIncomplete,
  }
}

async function liveInRoom(
  room: string,
  { digitalSamba, context }: AttemptTools,
  onNameless: () => void,
): Promise<ListedSession[]> {
  const sessions: ListedSession[] = []
  for await (const page of digitalSamba.liveSessions(room, context, onNameless)) sessions.push(...page)
  return sessions
}

function liveByExternalId(ending: EndingRow, { digitalSamba, listing, context }: AttemptTools) {
  return listing.sessions(ending.target_id, ending.next_attempt_at, () =>
    digitalSamba.liveSessions(undefined, context),
  )
}

/** Where the list did not tell when a session began, the session itself is asked; without that it is nobody's to end. */
async function startsKnown(listed: ListedSession[], tools: AttemptTools): Promise<LiveSession[]> {
  const { digitalSamba, context } = tools
  const known: LiveSession[] = []
  for (const session of listed) {
    if (isStartKnown(session)) {
      known.push(session)
      continue
    }
    const found = await digitalSamba.session(session.id, context).catch(goneIfUnknown)
    if (!found?.live) continue
    if (!isStartKnown(found)) throw new MalformedAnswerError(`answered no start of session ${session.id}`)
    known.push({ ...session, startedAt: found.startedAt })
  }
  return known
}

function goneIfUnknown(error: unknown): undefined {
  if (!(error instanceof NotFoundError)) throw error
}

type Verdict =
  | { result: Exclude<Result, 'retry' | 'rejected'> }
  | { result: 'rejected'; why: string }
  | { result: 'retry'; why: string; retryAfterMs: number | undefined }

/** One session: the end call, with its tries, and the judgement of what it answered. */
async function endOne(session: string, tools: AttemptTools, calls: Call[]): Promise<Verdict> {
  const { digitalSamba, context } = tools
  const first = calls.length
  try {
    await digitalSamba.end(session, { ...context, onCall: recordCall(session, calls, context.onCall) })
    return settle(calls, first, { result: 'ended' })
  } catch (error) {
    return settle(calls, first, await judge(session, error, tools))
  }
}

function recordCall(session: string, calls: Call[], onCall: CallContext['onCall']): CallContext['onCall'] {
  return (call) => {
    const { startedAt, durationMs, status, error } = call
    calls.push({
      id: newId(startedAt),
      session,
      started_at: startedAt,
      duration_ms: durationMs,
      status,
      result: 'retry',
      error: error?.message ?? null,
    })
    onCall(call)
  }
}

// The tries before the last one were retried; the last one is what the verdict is about.
function settle(calls: Call[], first: number, verdict: Verdict): Verdict {
  const last = calls.at(-1)
  if (last && calls.length > first) last.result = verdict.result
  return verdict
}

/** 403, 404, 409 and 422 are not taken at their word: whether the session is live decides. */
async function judge(session: string, error: unknown, tools: AttemptTools): Promise<Verdict> {
  if (!(error instanceof DigitalSambaError) || stopsEverything(error)) throw error
  const doubtful =
    error instanceof ForbiddenError || error instanceof NotFoundError || error instanceof WrongStateError
  if (!doubtful) return error.temporary ? again(error) : { result: 'rejected', why: error.message }
  try {
    const { live } = await tools.digitalSamba.session(session, tools.context)
    if (!live) return { result: 'already_ended' }
    return error instanceof WrongStateError ? again(error) : { result: 'rejected', why: error.message }
  } catch (lookUp) {
    if (lookUp instanceof NotFoundError) return { result: 'not_found' }
    if (!(lookUp instanceof DigitalSambaError) || stopsEverything(lookUp)) throw lookUp
    return lookUp.temporary ? again(lookUp) : { result: 'rejected', why: error.message }
  }
}

function again({ message, retryAfterMs }: DigitalSambaError): Verdict {
  return { result: 'retry', why: message, retryAfterMs }
}

// These say something about all calls, and nothing about this ending.
function stopsEverything(error: unknown): boolean {
  return (
    error instanceof UnauthorizedError ||
    error instanceof RateLimitedError ||
    error instanceof AbortedCallError ||
    error instanceof CallsHeldError
  )
}

function conclude(ending: EndingRow, verdicts: Verdict[], { isIncomplete }: Found): Conclusion {
  const retry = verdicts.find((verdict) => verdict.result === 'retry')
  if (retry) return { kind: 'retry', why: retry.why, retryAfterMs: retry.retryAfterMs }
  const rejected = verdicts.find((verdict) => verdict.result === 'rejected')
  if (rejected) return { kind: 'failed', failure: 'rejected', why: rejected.why }
  if (isIncomplete)
    return { kind: 'retry', why: 'a session in the room was told without an id', retryAfterMs: undefined }
  if (verdicts.some(({ result }) => result === 'ended')) return { kind: 'ended' }
  // A session that a list showed a moment ago and that is unknown now is gone; one that a caller named never was.
  if (ending.target_kind === 'session' && verdicts[0]?.result === 'not_found')
    return { kind: 'failed', failure: 'session_not_found', why: 'Digital Samba knows no such session' }
  return { kind: 'over', outcome: verdicts.length > 0 ? 'already_ended' : 'nothing_live' }
}

function cutShort(ending: EndingRow, error: unknown): Conclusion | undefined {
  if (stopsEverything(error)) return { kind: 'released', why: (error as Error).message }
  if (!(error instanceof DigitalSambaError)) return undefined
  if (error instanceof NotFoundError && ending.target_kind === 'room')
    return { kind: 'failed', failure: 'room_not_found', why: 'Digital Samba knows no such room' }
  // Of the list of all sessions it makes no sense.
  const isOdd = error instanceof NotFoundError
  if (!error.temporary && !isOdd) return { kind: 'failed', failure: 'rejected', why: error.message }
  return { kind: 'retry', why: error.message, retryAfterMs: error.retryAfterMs }
}
