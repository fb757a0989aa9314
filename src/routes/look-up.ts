import type { FastifyRequest } from 'fastify'
import type { LiveSession, OneSession } from '../digital-samba/answers.ts'
import type { CallContext } from '../digital-samba/client.ts'
import { DigitalSambaError, NotFoundError } from '../digital-samba/errors.ts'
import type { SessionRow } from '../storage/schema.ts'
import { RANK } from '../worker/budget.ts'
import { CallsHeldError } from '../worker/call-gate.ts'

const PATIENCE_MS = 3000

/** A session as the far side tells it, undefined where it knows none; or why it cannot be asked just now. */
export async function lookUp(
  request: FastifyRequest,
  session: string,
  patienceMs = PATIENCE_MS,
): Promise<OneSession | undefined | { unanswered: DigitalSambaError | CallsHeldError }> {
  try {
    return await request.server.digitalSamba.session(session, asking(request, patienceMs))
  } catch (error) {
    if (error instanceof NotFoundError) return undefined
    if (isUnanswered(error)) return { unanswered: error }
    throw error
  }
}

export function isUnanswered(error: unknown): error is DigitalSambaError | CallsHeldError {
  return error instanceof DigitalSambaError || error instanceof CallsHeldError
}

/** Calls for somebody who is waiting: before sweeps, behind endings, and not for long. */
export function asking(request: FastifyRequest, patienceMs = PATIENCE_MS): CallContext {
  const { gate, ledger } = request.server
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(patienceMs)])
  const admit = async () =>
    (await gate.permit({ rank: RANK.warning, at: ledger.clock.now() }, signal)).spend()
  return { signal, admit, made: gate.observe.bind(gate) }
}

/** As the ledger would keep it; undefined where its start was not told. */
export function seenRow({ startedAt, ...session }: OneSession): SessionRow | undefined {
  return startedAt === undefined ? undefined : asRow({ ...session, startedAt })
}

export function asRow({ id, startedAt, roomId, friendlyUrl, externalId }: LiveSession): SessionRow {
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
