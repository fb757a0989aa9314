import type { Instruction } from '../ending.ts'
import { DEFAULT, MINUTE_MS, type Rule, type Rules, type SeenSession } from './rules.ts'

/** One party's rule for a session, and when (epoch ms) that is due. */
export interface Limit {
  session: string
  rule: Rule
  dueAt: number
}

/** What one party's rules have made for a session before: by the rule of which room, and due when by it (epoch ms). */
export interface Made {
  session: string
  requestedBy: string
  endingId: string
  room: string
  dueAt: number
}

/** What was made, beside what the rules say now; nothing where none of them names its room any more. */
export interface Differing {
  made: Made
  limit: Limit | undefined
}

/**
 * Where the endings of live sessions are not, or may not be, what the rules say: one ending for each party whose rules
 * name a session's room. `changed` names a rule that may say something else though it is due at the same time.
 */
export function compareLimits(
  sessions: SeenSession[],
  rules: Rules,
  made: Made[],
  changed?: string,
): { missing: Limit[]; differing: Differing[] } {
  const limits = sessions.flatMap((session) => limitsOf(session, rules))
  const wanted = new Map(limits.map((limit) => [nameOf(limit.session, limit.rule.requestedBy), limit]))
  const known = new Set(made.map(({ session, requestedBy }) => nameOf(session, requestedBy)))
  return {
    missing: limits.filter(({ session, rule }) => !known.has(nameOf(session, rule.requestedBy))),
    differing: made
      .map((one) => ({ made: one, limit: wanted.get(nameOf(one.session, one.requestedBy)) }))
      .filter((one) => !isSame(one) || one.made.room === changed),
  }
}

function limitsOf(session: SeenSession, rules: Rules): Limit[] {
  return rules
    .ofEach(session)
    .map((rule) => ({ session: session.id, rule, dueAt: session.startedAt + rule.maxMinutes * MINUTE_MS }))
}

const nameOf = (session: string, party: string) => `${session} ${party}`

function isSame({ made, limit }: Differing): boolean {
  return limit !== undefined && made.room === limit.rule.room && made.dueAt === limit.dueAt
}

/**
 * The ending of a limit as it is now. `waiting`: nobody is carrying it out. `unconfirmed`: its call was answered 2xx, and
 * the session was not seen since. `left`: cancelled, failed, over, or being carried out, and so left as it is.
 */
export type EndingSeen =
  | { is: 'waiting'; dueAt: number; warnMinutes: number[] }
  | { is: 'unconfirmed' }
  | { is: 'left' }

/** What is to be done with an ending so that it is what the rules say. Times are epoch ms. */
export type Decision =
  | { do: 'nothing' }
  | { do: 'cancel' }
  /** `dueAt` has the minutes in it that somebody was given on top */
  | { do: 'move'; limit: Limit; dueAt: number }
  /** should the session live on, it is to be ended again then; not at all where nothing limits it any more */
  | { do: 'follow up'; limit: Limit | undefined }

export function decideLimit({ made, limit }: Differing, ending: EndingSeen): Decision {
  const same = isSame({ made, limit })
  if (ending.is === 'left' || (ending.is === 'unconfirmed' && same)) return { do: 'nothing' }
  if (ending.is === 'unconfirmed') return { do: 'follow up', limit }
  if (!limit) return { do: 'cancel' }
  if (same && isEqual(ending.warnMinutes, limit.rule.warnMinutes ?? [])) return { do: 'nothing' }
  const given = Math.max(ending.dueAt - made.dueAt, 0)
  return { do: 'move', limit, dueAt: limit.dueAt + given }
}

const isEqual = (one: number[], other: number[]) => JSON.stringify(one) === JSON.stringify(other)

/** The ending that a limit asks for. */
export function limitInstruction({ session, rule, dueAt }: Limit): Instruction {
  const { room, requestedBy, maxMinutes, warnMinutes } = rule
  return {
    target: { session },
    dueAt,
    reason: 'time_limit',
    requestedBy,
    key: `limit:${session}`,
    subject: null,
    urgent: false,
    metadata: { rule: room === DEFAULT ? 'default' : room, maxMinutes },
    warnMinutes,
  }
}
