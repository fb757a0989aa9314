import type { Test } from 'tap'
import { isProblem } from '../routes/problems.ts'
import { type Scene, startScene } from '../routes/scene.ts'
import { contents } from './contents.ts'
import { answersOf, event, type Fields, post, postBinary } from './messages.ts'

export const ROOM = 'the-room'
export const MAX_TARGETS = 3

/** An event that is good, whatever is said about its envelope. */
export const good = (more: Fields = {}) => event('time_limit.reached', { roomId: ROOM }, more)

/** What is wrong, and the places that are to be named, without the event's index. */
export type Refusal = [what: string, event: unknown, pointers: string[]]

/** A service whose ledger is not empty, so that it would show what changes it. */
export async function startRefusing(t: Test): Promise<Scene> {
  const scene = await startScene(t, { env: { MAX_TARGETS_PER_EVENT: String(MAX_TARGETS) } })
  const begun = await post(scene, [
    event('booking.scheduled', { bookingId: 'known', roomId: ROOM, endsAt: scene.at(3_600_000) }),
    event('billing.suspended', { account: 'known', targets: [{ roomId: ROOM }], graceSeconds: 600 }),
  ])
  t.equal(answersOf(begun).length, 2)
  return scene
}

/** Each is refused by itself and behind a good one, in exactly these places, and changes nothing. */
export async function areRefused(t: Test, scene: Scene, refusals: Refusal[]): Promise<void> {
  const before = await contents(scene.databaseUrl)
  const calls = scene.sandbox.calls.length
  for (const [what, bad, pointers] of refusals)
    await t.test(what, async (t) => {
      const places = (index: number) => pointers.map((pointer) => `/${index}${pointer}`)
      isProblem(t, await post(scene, JSON.stringify(bad)), 422, 'invalid', places(0))
      isProblem(t, await post(scene, [good(), bad]), 422, 'invalid', places(1))
      t.same(await contents(scene.databaseUrl), before, 'the ledger is as it was')
    })
  t.equal(scene.sandbox.calls.length, calls, 'nothing was called')
}

/** The same in binary mode. */
export async function areRefusedInBinary(t: Test, scene: Scene, refusals: Refusal[]): Promise<void> {
  const before = await contents(scene.databaseUrl)
  for (const [what, bad, pointers] of refusals)
    await t.test(`binary: ${what}`, async (t) => {
      const places = pointers.map((pointer) => `/0${pointer}`)
      isProblem(t, await postBinary(scene, bad as Fields), 422, 'invalid', places)
      t.same(await contents(scene.databaseUrl), before, 'the ledger is as it was')
    })
}
