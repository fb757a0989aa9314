import type { Test } from 'tap'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { tellNoTime } from '../simulation/simulate.ts'
import { limitOf, MINUTE, type Sweeping, setRule, startSweeping } from './sweeping.ts'

/** On every engine, each of which goes by the clock of the test. */
const limits = (name: string, run: (t: Test, databaseUrl: string) => Promise<void>) =>
  onEveryEngine(t, name, async (t, databaseUrl, engine) => {
    if (engine === 'postgres') await tellNoTime(databaseUrl)
    await run(t, databaseUrl)
  })

/** A session whose limit was answered 2xx, and that lives on. */
async function startUndone(t: Test, databaseUrl: string) {
  const service = await startSweeping(t, { databaseUrl })
  const { sandbox, clock } = service
  const room = sandbox.createRoom({ friendlyUrl: 'limited' }).id
  const session = sandbox.startSession({ room })
  await setRule(service, 'limited', 1)
  const { id } = await limitOf(service, session)
  sandbox.inject({ kind: 'status', status: 204, operation: 'end' })
  await clock.advance(MINUTE)
  await until(async () => (await service.ending(id)).state === 'ended')
  return { service, session, id }
}

/** Until it has been seen that the session lives on. */
async function seen({ clock }: Sweeping, is: () => Promise<boolean>): Promise<void> {
  await until(async () => {
    await clock.advance(1000)
    return is()
  })
}

limits('a limit that was not done is done again when its rule says so by then', async (t, databaseUrl) => {
  const { service, session, id } = await startUndone(t, databaseUrl)
  await setRule(service, 'limited', 10)
  await seen(service, async () => (await service.ending(id)).state === 'pending')
  t.match(await service.ending(id), { dueAt: new Date(session.startTime + 10 * MINUTE).toISOString() })
  t.equal(session.live, true)
  await service.clock.advanceTo(session.startTime + 10 * MINUTE)
  await until(() => !session.live)
})

limits(
  'a limit that was not done is not done again where no rule asks for it any more',
  async (t, databaseUrl) => {
    const { service, session, id } = await startUndone(t, databaseUrl)
    await service.request('DELETE', '/v1/time-limits/limited')
    const given = async () => (await service.app.ledger.find(id))?.confirm_at === null
    await seen(service, given)
    t.match(await service.ending(id), { state: 'ended', confirmedAt: null })
    await service.clock.advance(10 * MINUTE)
    t.equal(session.live, true)
    await setRule(service, 'limited', 30)
    await service.clock.advance(30_000)
    await until(async () => (await service.app.ledger.backlog()).pending === 1)
  },
)

limits(
  'a limit that its owner brought forward, and that was not done, is done again at once',
  async (t, databaseUrl) => {
    const service = await startSweeping(t, { databaseUrl })
    const { sandbox, clock } = service
    const session = sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'limited' }).id })
    await setRule(service, 'limited', 60)
    const { id } = await limitOf(service, session)
    sandbox.inject({ kind: 'status', status: 204, operation: 'end' })
    const body = { dueAt: new Date(clock.now()).toISOString() }
    t.equal((await service.request('PATCH', `/v1/endings/${id}`, { body })).statusCode, 200)
    await until(async () => (await service.ending(id)).state === 'ended')
    t.equal(session.live, true)
    for (let seconds = 0; seconds < 120 && session.live; seconds += 1) {
      await clock.advance(1000)
      // On PostgreSQL each step of it takes as long as a look at the ledger.
      for (let looks = 0; looks < 8; looks += 1) await service.app.ledger.find(id)
    }
    t.equal(session.live, false, 'and not only when the rule would have ended it')
  },
)
