import { type HeldRoom, holdsOn } from './holds.ts'
import type { Rules, SeenSession } from './rules.ts'

/**
 * Those of the live sessions that are anybody's business: a rule limits them, they began in a room that is held, or an
 * ending was made for them before (`known`), whether or not there still is one. The others are not even remembered.
 */
export function concernedAmong(
  sessions: SeenSession[],
  rules: Rules,
  holds: HeldRoom[],
  known: Set<string>,
): SeenSession[] {
  return sessions.filter(
    (session) =>
      rules.of(session) !== undefined || holdsOn(holds, session).length > 0 || known.has(session.id),
  )
}
