import fp from 'fastify-plugin'
import { type Clock, systemClock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { openDatabase } from '../storage/engine/database.ts'
import { isTrouble } from '../storage/engine/errors.ts'
import type { OpenDatabase } from '../storage/engine/open-database.ts'
import { troubleOf } from '../storage/engine/trouble.ts'
import { Ledger } from '../storage/ledger.ts'

declare module 'fastify' {
  interface FastifyInstance {
    ledger: Ledger
    database: OpenDatabase
  }
}

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 2000

export default fp<{ config: Config; clock: Clock }>(async function storage(app, { config, clock }) {
  const onError = (error: Error) => app.log.error({ err: error }, 'storage.trouble')
  const onDeaf = () => app.log.warn('storage.not_listening')
  const open = () => openDatabase({ url: config.databaseUrl, clock, onError, onDeaf })
  const database = await waitedFor(open, config.databaseWaitMs, (error) =>
    app.log.warn({ why: troubleOf(error) }, 'storage.waiting'),
  )
  const told = new Set(config.receivers.map(({ caller }) => caller))
  app.decorate('ledger', new Ledger(database, { warnMinutes: config.warnMinutes, told }))
  app.decorate('database', database)
  app.addHook('onClose', () => database.close())
})

/** Tries again for `waitMs` where the database cannot be reached, and does not where it says no. */
async function waitedFor<T>(
  open: () => Promise<T>,
  waitMs: number,
  onWait: (error: unknown) => void,
): Promise<T> {
  // Its own clock may be PostgreSQL's, which is what is waited for.
  const until = systemClock.now() + waitMs
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await open()
    } catch (error) {
      if (!isAway(error) || systemClock.now() + pause > until) throw error
      onWait(error)
      await systemClock.sleep(pause)
    }
  }
}

// The database, or the user, does not become another one by waiting; SQLite's file is there or is not.
const SAYS_NO = /^(28|3D|42|25)/

function isAway(error: unknown): boolean {
  const { code, errcode } = error as { code?: unknown; errcode?: number }
  return errcode === undefined && isTrouble(error) && !(typeof code === 'string' && SAYS_NO.test(code))
}
