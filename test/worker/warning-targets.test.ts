import { randomUUID } from 'node:crypto'
import t from 'tap'
import { freshUrl } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { startService, until } from '../helper/service.ts'
import { at, startScene } from './warning-scene.ts'

t.test('the message goes into the room of the live session, however the ending names it', async (t) => {
  const { live, request, pass, chat, sandbox, warnings } = await startScene(t)
  const end = async (target: object) => {
    const body = { target, dueAt: at(20), warnMinutes: [10] }
    return (await request('POST', '/v1/endings', { body })).json().id as string
  }
  const paths = (from: number) => sandbox.calls.slice(from).map(({ operation, room }) => [operation, room])
  const [known, ruled] = [live({ friendlyUrl: 'known' }), live({ friendlyUrl: 'ruled' })]
  for (const name of ['known', 'ruled'])
    await request('PUT', `/v1/time-limits/${name}`, { body: { maxMinutes: 60 } })
  await until(async () => (await request('GET', '/v1/endings')).json().data.length === 2)
  const [room, named, shared, other, unknown] = ['room', 'named', 'shared', 'other', 'unknown'].map((name) =>
    live({ friendlyUrl: name, externalId: name === 'other' ? 'shared' : name }),
  )
  const over = live()
  sandbox.endSession(over.id)
  const cases: [target: object, calls: unknown[], rooms: string[], result: string][] = [
    [{ session: known.id }, [['chat', known.room.id]], ['known'], 'sent'],
    [
      { session: unknown?.id },
      [
        ['session', undefined],
        ['chat', unknown?.room.id],
      ],
      ['unknown'],
      'sent',
    ],
    [{ session: randomUUID() }, [['session', undefined]], [], 'nobody_there'],
    [{ session: over.id }, [['session', undefined]], [], 'nobody_there'],
    [{ room: room?.room.id }, [['chat', room?.room.id]], ['room'], 'sent'],
    [
      { room: 'named' },
      [
        ['room-sessions', 'named'],
        ['chat', named?.room.id],
      ],
      ['named'],
      'sent',
    ],
    [{ room: 'no-such-room' }, [['room-sessions', 'no-such-room']], [], 'nobody_there'],
    [{ room: 'ruled' }, [['chat', ruled.room.id]], ['ruled'], 'sent'],
    [{ room: over.room.id }, [['chat', over.room.id]], [], 'nobody_there'],
    [
      { roomExternalId: 'shared' },
      [
        ['sessions', undefined],
        ['chat', shared?.room.id],
        ['chat', other?.room.id],
      ],
      ['shared', 'other'],
      'sent',
    ],
    [{ roomExternalId: 'nobody' }, [], [], 'nobody_there'],
  ]
  for (const name of ['known', 'ruled']) await request('DELETE', `/v1/time-limits/${name}`)
  await pass(9)
  for (const [i, [target, calls, rooms, result]] of cases.entries()) {
    const id = await end(target)
    await request('PATCH', `/v1/endings/${id}`, { body: { dueAt: at(19 + i / 60) } })
    const [before, said] = [sandbox.calls.length, chat().length]
    await pass(9 + i / 60)
    t.same(paths(before), calls, JSON.stringify(target))
    t.same(
      chat()
        .slice(said)
        .map(([, room]) => room),
      rooms,
    )
    t.same(await warnings(id), [[10, 10, result]])
  }
})

t.test('two replicas on one PostgreSQL warn once', async (t) => {
  const clock = new ManualClock(Date.now())
  const databaseUrl = await freshUrl(t, 'postgres')
  const one = await startService(t, { clock, databaseUrl })
  const { sandbox } = one
  const other = await startService(t, { clock, databaseUrl, sandbox })
  const dueAt = new Date(one.app.ledger.clock.now() + 90_000).toISOString()
  const sessions = Array.from({ length: 30 }, () => sandbox.startSession({ room: sandbox.createRoom().id }))
  for (const [i, { id }] of sessions.entries())
    await (i % 2 ? one : other).request('POST', `/v1/sessions/${id}/end`, {
      body: { dueAt, warnMinutes: [1] },
    })
  await clock.advance(31_000)
  await until(() => sandbox.chat.length >= sessions.length)
  await clock.advance(20_000)
  const told = sandbox.chat.map(({ session }) => session)
  t.same(told.sort(), sessions.map(({ id }) => id).sort())
})
