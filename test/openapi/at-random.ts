import fc from 'fast-check'
import type { Test } from 'tap'
import { EVENT_SECRETS } from '../events/signing.ts'
import { KEYS } from '../helper/service.ts'
import type { Answered } from '../routes/problems.ts'
import { startScene } from '../routes/scene.ts'
import { Conformance } from './conformance.ts'
import { type Made, requests } from './requests.ts'

const WEBHOOK_SECRET = 'webhook-secret-0000000000'

export interface Figures {
  requests: number
  seed: number
  /** how many were answered with each status */
  statuses: Record<string, number>
  /** how many different answers (operation, status and kind of mistake) there were */
  kinds: number
}

/**
 * Asks a real service, with its sandbox, for so many things made at random from its own document, one after the other.
 * @throws with the smallest request that is answered by a 500, or by something that the document does not say
 */
export async function askAtRandom(t: Test, numRuns: number, seed: number): Promise<Figures> {
  const { app, sandbox, clock, now, ask, finished } = await startScene(t, {
    env: { EVENT_SECRETS, DIGITAL_SAMBA_WEBHOOK_SECRET: WEBHOOK_SECRET, CALLS_PER_MINUTE: '100000' },
    sandboxOptions: { callsPerMinute: 1e9 },
  })
  const conformance = new Conformance((await app.inject('/openapi.json')).json())
  const room = sandbox.createRoom({ friendlyUrl: 'board-room', externalId: 'board' })
  const sessions = Array.from({ length: 5 }, () => sandbox.startSession({ room: room.id }).id)
  const endings = [await ask(), await ask({ key: 'k' }), await finished('failed'), await finished('ended')]
  const ids = endings.map(({ id }) => id)
  const names = {
    id: ids,
    sessionId: sessions,
    session: sessions,
    room: ['board-room', room.id, 'external:board'],
    roomId: ['board-room', room.id],
    key: ['k', 'booking:1'],
    bookingId: ['1', '2'],
    cursor: ids,
    live: ['true'],
    'Idempotency-Key': ['the-same'],
    Prefer: ['wait=0', 'respond-async'],
    eventType: ['session_ended', 'session_started'],
  }
  const callers = [
    KEYS.booking,
    KEYS.booking,
    KEYS.booking,
    ...Object.values(KEYS),
    'unknown-key-0000000000000',
  ]
  const keys = callers.map((key) => `Bearer ${key}`)
  const statuses: Record<string, number> = {}
  const check = async ({ call, url, headers, body }: Made) => {
    const method = call.split(' ')[0] as 'GET'
    const asked = app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) })
    const answer = await inTime(asked)
    statuses[answer.statusCode] = (statuses[answer.statusCode] ?? 0) + 1
    if (answer.statusCode === 500) throw new Error(`${call} answers 500`)
    const flaws = conformance.flaws(call, answer as unknown as Answered)
    if (flaws.length > 0) throw new Error(flaws.join('\n'))
  }
  /** Who waits for the end, or for what is under way, waits by the clock of the service. */
  const inTime = async <T>(answer: Promise<T>): Promise<T> => {
    let isThere = false
    const there = answer.finally(() => {
      isThere = true
    })
    for (; !isThere; await new Promise(setImmediate)) await clock.advance(50)
    return there
  }
  const anything = requests(conformance, { names, keys, secret: WEBHOOK_SECRET, now })
  await fc.assert(fc.asyncProperty(anything, check), { numRuns, seed })
  return { requests: numRuns, seed, statuses, kinds: conformance.seen.size }
}
