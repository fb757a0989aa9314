import type { Test } from 'tap'
import type { Answered } from '../routes/problems.ts'
import { type Exchange, Recorder, SECRETS } from './recorder.ts'
import { allIsWell } from './well.ts'
import { inProgress, ledgerGone, tooMany, tooOften, troubles, wrongRequests, wrongStates } from './wrong.ts'

type Play = [play: (recorder: Recorder) => Promise<void>, env?: Record<string, string>]

const PLAYS: Play[] = [
  [allIsWell],
  [wrongRequests],
  [wrongStates],
  [inProgress],
  [tooMany],
  [troubles],
  [ledgerGone],
  [tooOften, { ...SECRETS, REQUESTS_PER_MINUTE: '1' }],
  [unset, {}],
]

/** Asks real services, each in a state of its own, for everything that the document promises and all that may go wrong. */
export async function everyExchange(
  t: Test,
): Promise<{ exchanges: Exchange[]; document: Record<string, unknown> }> {
  const played = await Promise.all(
    PLAYS.map(async ([play, env]) => {
      const recorder = await Recorder.start(t, env)
      await play(recorder)
      return recorder
    }),
  )
  const document = await (played[0] as Recorder).scene.request('GET', '/openapi.json')
  return { exchanges: played.flatMap(({ exchanges }) => exchanges), document: document.json() }
}

/** Where no webhook of Digital Samba's is expected; and a method that a path does not have. */
async function unset(recorder: Recorder): Promise<void> {
  await recorder.ask('receiveWebhook', { body: { eventType: 'session_ended' } })
  const refused = await recorder.scene.request('DELETE', '/v1/endings')
  recorder.exchanges.push({ call: 'DELETE /v1/endings', answer: refused as unknown as Answered })
}
