import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { CHANNEL, type ListenerOptions, PostgresSignals } from '../../src/storage/engine/signals.ts'
import { freshUrl } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { until } from '../helper/service.ts'

function listening(connectionString: string, more: Partial<ListenerOptions> = {}): PostgresSignals {
  const connect = () => new pg.Client({ connectionString, connectionTimeoutMillis: 5_000 })
  return new PostgresSignals({
    connect,
    clock: systemClock,
    test: async () => {},
    onError: () => {},
    onHeard: () => {},
    onDeaf: () => {},
    ...more,
  })
}

for (const reads of [true, false])
  t.test(
    `closed while a server that ${reads ? 'reads' : 'does not even read'} has not answered`,
    async (t) => {
      const sockets: Socket[] = []
      const silent = createServer((socket) => {
        sockets.push(socket)
        if (reads) socket.resume()
      })
      silent.listen(0, '127.0.0.1')
      await once(silent, 'listening')
      t.teardown(() => {
        for (const socket of sockets) socket.destroy()
        silent.close()
      })
      const signals = listening(
        `postgres://curfew@127.0.0.1:${(silent.address() as AddressInfo).port}/curfew`,
      )
      await once(silent, 'connection')
      t.equal(await signals.close(), undefined)
    },
  )

t.test('closed at any moment of the connecting', async (t) => {
  const url = await freshUrl(t, 'postgres')
  // In this process the connecting takes some milliseconds: from before its first byte to after it listens.
  for (let ms = 0; ms < 20; ms += 1) {
    const signals = listening(url)
    await pause(ms)
    await signals.close()
  }
  t.pass('each is closed')
})

t.test('closed while nobody listens at that address', async (t) => {
  const signals = listening('postgres://curfew@127.0.0.1:1/curfew')
  await pause(20)
  t.equal(await signals.close(), undefined)
})

t.test('it counts as heard what comes from another connection, and not what it says itself', async (t) => {
  const url = await freshUrl(t, 'postgres')
  const other = new pg.Client({ connectionString: url })
  await other.connect()
  t.teardown(() => other.end())
  const tests: string[] = []
  let heard = 0
  const clock = new ManualClock()
  const { promise: deaf, resolve: onDeaf } = Promise.withResolvers<void>()
  const signals = listening(url, {
    clock,
    // As through a pooler in transaction mode: it is gone.
    test: async (payload) => void tests.push(payload),
    onHeard: () => {
      heard += 1
    },
    onDeaf,
  })
  t.teardown(() => signals.close())
  await until(() => tests.length > 0)
  await other.query(`listen ${CHANNEL}`)
  const echoed = once(other, 'notification')
  signals.send({ is: 'work' })
  await echoed
  await clock.advance(3000)
  await deaf
  t.equal(heard, 0)
  await other.query('select pg_notify($1, $2)', [CHANNEL, tests[0]])
  await until(() => heard > 0)
})
