import t from 'tap'
import { until } from '../helper/service.ts'
import { limitOf, MINUTE, type Sweeping, setRule, startSweeping } from './sweeping.ts'

/** A session whose limit was answered 2xx, and that lives on. */
async function startUndone(t: Parameters<typeof startSweeping>[0]) {
  const service = await startSweeping(t)
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

t.test('a limit that was not done is done again when its rule says so by then', async (t) => {
  const { service, session, id } = await startUndone(t)
  await setRule(service, 'limited', 10)
  await seen(service, async () => (await service.ending(id)).state === 'pending')
  t.match(await service.ending(id), { dueAt: new Date(session.startTime + 10 * MINUTE).toISOString() })
  t.equal(session.live, true)
  await service.clock.advanceTo(session.startTime + 10 * MINUTE)
  await until(() => !session.live)
})

t.test('a limit that was not done is not done again where no rule asks for it any more', async (t) => {
  const { service, session, id } = await startUndone(t)
  await service.request('DELETE', '/v1/time-limits/limited')
  const given = async () => (await service.app.ledger.find(id))?.confirm_at === null
  await seen(service, given)
  t.match(await service.ending(id), { state: 'ended', confirmedAt: null })
  await service.clock.advance(10 * MINUTE)
  t.equal(session.live, true)
  await setRule(service, 'limited', 30)
  await service.clock.advance(30_000)
  await until(async () => (await service.app.ledger.backlog()).pending === 1)
})
