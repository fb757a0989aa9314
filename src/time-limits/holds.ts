import type { Instruction } from '../ending.ts'
import { namesOf, type SeenSession } from './rules.ts'

/** A room that somebody keeps closed since `from` (epoch ms), by the name that a rule would use. */
export interface HeldRoom {
  id: string
  name: string
  from: number
  requestedBy: string
  subject: string | null
  /** the ending that it came with, if it came with one */
  endingId: string | null
}

// Digital Samba tells the second in which a session began.
const START_RESOLUTION_MS = 1000

/** Those of the holds that a session has begun under, one of each party: what began before it is none of its business. */
export function holdsOn(holds: HeldRoom[], session: Omit<SeenSession, 'id'>): HeldRoom[] {
  const names = namesOf(session)
  const found = new Map<string, HeldRoom>()
  for (const hold of holds) {
    const isUnder = session.startedAt > hold.from - START_RESOLUTION_MS && names.includes(hold.name)
    if (isUnder && !found.has(hold.requestedBy)) found.set(hold.requestedBy, hold)
  }
  return [...found.values()]
}

/** The hold of the same party that a session is under as well: where one is lifted, it stands for the session's end. */
export function successor(
  holds: HeldRoom[],
  session: Omit<SeenSession, 'id'>,
  party: string,
): HeldRoom | undefined {
  return holdsOn(holds, session).find(({ requestedBy }) => requestedBy === party)
}

/** A session that is to be ended because its room is held, and how. */
export interface HeldSession {
  session: string
  hold: HeldRoom
  instruction: Instruction
}

/**
 * Which sessions have to be ended at `now` (epoch ms) because they began in rooms that are held: by each party once, so
 * that whoever cancels its own is heard. `isKnown` says for which that was done.
 */
export function sessionsToEnd(
  sessions: SeenSession[],
  holds: HeldRoom[],
  isKnown: (session: string, party: string) => boolean,
  now: number,
): HeldSession[] {
  return sessions.flatMap((session) =>
    holdsOn(holds, session)
      .filter(({ requestedBy }) => !isKnown(session.id, requestedBy))
      .map((hold) => ({ session: session.id, hold, instruction: endingOf(session.id, hold, now) })),
  )
}

function endingOf(session: string, hold: HeldRoom, now: number): Instruction {
  return {
    target: { session },
    dueAt: now,
    reason: 'room_held',
    requestedBy: hold.requestedBy,
    key: `held:${session}`,
    subject: hold.subject,
    urgent: false,
    metadata: heldFor(hold),
  }
}

/** What the ending of a session in a closed room says of the hold. */
export const heldFor = ({ id, endingId }: HeldRoom) => ({ hold: id, ending: endingId })
