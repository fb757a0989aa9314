import { formatTime } from '../time.ts'
import type { Ending } from './ending-schemas.ts'

/** What is known of a session; `live` is null where nobody could tell, times are epoch ms. */
export interface Known {
  id: string
  live: boolean | null
  /** the earliest of the pending ones */
  inForce: Ending | undefined
  /** newest first */
  endings: Ending[]
  now: number
  /** since when Digital Samba has refused the credentials, if it does */
  refusedSince: number | undefined
}

/** The answer to "why did it end?", or "why did it not?", in a sentence. */
export function whyOf(known: Known): string {
  const { live, inForce, endings } = known
  const ended = endedBy(known)
  if (ended) return `It ended because ${asked(ended)}, due at ${ended.dueAt}.`
  if (live === false) return 'It ended by itself, or by somebody else: no ending here ended it.'
  if (inForce) return Date.parse(inForce.dueAt) > known.now ? ahead(inForce) : overdue(inForce, known)
  const last = endings.find(({ state }) => state === 'failed' || state === 'cancelled')
  if (last?.state === 'failed')
    return `It was not ended: what ${last.requestedBy} asked for (${last.reason}) failed as ${last.failure}.`
  if (last)
    return `It was not ended: what ${last.requestedBy} asked for (${last.reason}), due at ${last.dueAt}, was cancelled at ${last.finishedAt}.`
  return 'Nobody has asked for its end.'
}

/**
 * The ending that ended it. One of its room may have ended another session, so a call for this one has to be among its
 * calls; and one that is live after that was not ended.
 */
export function endedBy({ id, live, endings }: Known): Ending | undefined {
  if (live === true) return undefined
  return endings
    .filter(({ attempts }) => attempts?.some(({ session, result }) => session === id && result === 'ended'))
    .sort((a, b) => ((a.finishedAt ?? '') < (b.finishedAt ?? '') ? -1 : 1))[0]
}

const asked = ({ requestedBy, reason }: Ending) => `${requestedBy} asked for it (${reason})`

function ahead(ending: Ending): string {
  return `It will be ended at ${ending.dueAt} because ${asked(ending)}; of all that are pending for it that is the earliest.`
}

function overdue(ending: Ending, { id, refusedSince }: Known): string {
  const due = `It was due to be ended at ${ending.dueAt} because ${asked(ending)}`
  if (refusedSince !== undefined)
    return `${due}; no call leaves, for Digital Samba refuses the credentials since ${formatTime(refusedSince)}.`
  const next = `the next try is at ${ending.nextAttemptAt}`
  if (ending.attempt === 0) return `${due}; it has not been tried yet, ${next}.`
  const last = ending.attempts?.findLast(({ session }) => session === id)
  // Where not even the sessions of its room can be looked up, there is no call to show.
  const trouble = last
    ? `the last call for it, at ${last.startedAt}: ${last.error ?? last.result}`
    : 'without getting as far as a call for it'
  return `${due}; tried ${times(ending.attempt)}, ${trouble}; ${next}.`
}

const times = (count: number) => (count === 1 ? 'once' : `${count} times`)
