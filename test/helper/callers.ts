import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { ask, type Reply } from './curfew.ts'

export interface Callers {
  /** the ending's id and its session, for each 202 */
  accepted: Map<string, string>
  /** every answer that was no 202 */
  refused: Reply[]
  /** how many of them got no answer at all, and asked no more */
  unanswered: number
  /** every session somebody asked about */
  asked: Set<string>
  /** Lets everybody finish the request they are at. */
  stop(): Promise<void>
}

/** `count` clients of a real process, each asking for the end of one live session after the other, for as long as it answers. */
export function startCallers(sandbox: Sandbox, url: string, count: number): Callers {
  const room = sandbox.createRoom().id
  let stopped = false
  const seen = {
    accepted: new Map<string, string>(),
    refused: [] as Reply[],
    unanswered: 0,
    asked: new Set<string>(),
  }
  const call = async () => {
    while (!stopped) {
      const session = sandbox.startSession({ room }).id
      seen.asked.add(session)
      const reply = await ask(url, `/v1/sessions/${session}/end`, {})
      if (reply.statusCode === 202) seen.accepted.set(JSON.parse(reply.body).id, session)
      else if (reply.statusCode !== 0) seen.refused.push(reply)
      else {
        seen.unanswered += 1
        return
      }
    }
  }
  const all = Promise.all(Array.from({ length: count }, call))
  return Object.assign(seen, {
    stop: async () => {
      stopped = true
      await all
    },
  })
}
