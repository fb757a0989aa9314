import type { FastifyRequest } from 'fastify'
import { CallsHeldError } from '../calls/gate.ts'
import type { ListedSession, OneSession } from '../digital-samba/answers.ts'
import { DigitalSambaError } from '../digital-samba/errors.ts'
import type { SessionRow } from '../storage/schema.ts'

/** A session as Digital Samba tells it, undefined where it knows none; or why it cannot be asked just now. */
export async function lookUp(
  { server }: FastifyRequest,
  session: string,
  patienceMs?: number,
): Promise<OneSession | undefined | { unanswered: DigitalSambaError | CallsHeldError }> {
  try {
    return await server.lookUps.session(session, patienceMs)
  } catch (error) {
    if (isUnanswered(error)) return { unanswered: error }
    throw error
  }
}

export function isUnanswered(error: unknown): error is DigitalSambaError | CallsHeldError {
  return error instanceof DigitalSambaError || error instanceof CallsHeldError
}

/** As the ledger would keep it; undefined where its start was not told. */
export function seenRow(session: OneSession): SessionRow | undefined {
  return session.startedAt === undefined ? undefined : asRow(session)
}

/** One of which nobody knows when it began has been there for ever. */
export function asRow({ id, startedAt = 0, roomId, friendlyUrl, externalId }: ListedSession): SessionRow {
  return {
    id,
    started_at: startedAt,
    room_id: roomId,
    friendly_url: friendlyUrl,
    external_id: externalId,
    seen_at: 0,
    over_at: null,
  }
}
