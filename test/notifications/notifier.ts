import { pino } from 'pino'
import type { Test } from 'tap'
import { openDatabase } from '../../src/storage/engine/database.ts'
import { Ledger } from '../../src/storage/ledger.ts'
import { NotificationStore } from '../../src/storage/notifications/notification-store.ts'
import { Deliverer } from '../../src/worker/delivery.ts'
import { Notifier } from '../../src/worker/notifier.ts'
import { instruction } from '../helper/instructions.ts'
import type { ManualClock } from '../helper/manual-clock.ts'
import { NOTIFY_SECRET, type Receiver } from '../helper/receiver.ts'

interface Scene {
  url: string
  clock: ManualClock
  receiver: Pick<Receiver, 'url'>
  caller?: string
  /** as where another process has prepared the ledger */
  isPrepared?: boolean
}

/** What tells `booking`, or whoever is named, of its endings, on a ledger without the rest of the service: days pass in a moment. */
export async function startNotifier(
  t: Test,
  { url, clock, receiver, caller = 'booking', isPrepared }: Scene,
) {
  const database = { ...(await openDatabase({ url, clock })), clock }
  const ledger = new Ledger(database, { told: new Set([caller]) })
  const store = new NotificationStore(ledger)
  if (!isPrepared) await store.prepare([caller])
  const deliverer = new Deliverer(clock)
  const notifier = new Notifier(
    { caller, url: receiver.url, secrets: [NOTIFY_SECRET] },
    {
      ledger,
      notifications: store,
      deliverer,
      // What goes wrong is told, for then a clock that stands still has it wait for ever.
      log: pino({ level: 'error' }, { write: (line: string) => t.comment(line) }),
      bodyOf: async ({ id, ending_id: subject, type }) =>
        JSON.stringify({ id, subject, type: `curfew.ending.${type}` }),
    },
  )
  notifier.start()
  let stopped: Promise<void> | undefined
  /** As a process that stops, at once. */
  const stop = () => {
    stopped ??= (async () => {
      await notifier.stop(0)
      deliverer.close()
      await database.close()
    })()
    return stopped
  }
  t.teardown(stop)
  const cancelOne = async () => {
    const answer = await ledger.store(instruction({ requestedBy: caller, dueAt: clock.now() + 1e9 }))
    if ('obstacle' in answer) throw new Error(answer.obstacle)
    await ledger.cancel(answer.ending.id, { name: 'ops', operator: true })
    return answer.ending.id
  }
  return { ledger, store, notifier, cancelOne, stop, database }
}
