import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { startProblem } from '../start-problem.ts'
import { openPostgresForReading, serverRights, unwritableTables } from '../storage/engine/reading.ts'
import { clockVerdict, type Finding, findingsOf, seconds } from './finding.ts'
import type { Opened } from './opened.ts'

const { ok, wrong } = findingsOf('database')

export async function openPostgres(config: Config, clock: Clock): Promise<Opened> {
  const { host, pathname } = new URL(config.databaseUrl)
  const db = await openPostgresForReading(config.databaseUrl)
  try {
    // The first round trip holds the connecting as well.
    await serverRights(db)
    const before = clock.now()
    const rights = await serverRights(db)
    const offsetMs = Math.round(rights.now - (before + clock.now()) / 2)
    const running = `${rights.connections} connections of Curfew`
    const findings = [ok(`PostgreSQL at ${host}${pathname} answers; ${running}`)]
    if (rights.is_standby || rights.is_read_only)
      findings.push(
        wrong('it is read-only: nothing can be accepted', 'name the primary server in DATABASE_URL'),
      )
    else findings.push(await tablesOf(db))
    if (!rights.may_create)
      findings.push(
        wrong('this user may not create tables, so the start cannot migrate', 'grant CREATE on its schema'),
      )
    return { findings: [...findings, clocks(offsetMs)], db, offsetMs }
  } catch (error) {
    await db.destroy()
    const problem = startProblem(error, config)
    if (problem === undefined) throw error
    return {
      findings: [
        wrong(problem, 'Curfew waits for it for DATABASE_WAIT when it starts, and answers 503 meanwhile'),
      ],
      db: undefined,
      offsetMs: 0,
    }
  }
}

async function tablesOf(db: Parameters<typeof unwritableTables>[0]): Promise<Finding> {
  const closed = await unwritableTables(db)
  if (closed.length === 0) return ok('it can be written')
  return wrong(
    `this user may not change ${closed.slice(0, 5).join(', ')}${closed.length > 5 ? ' and others' : ''}`,
    'grant SELECT, INSERT, UPDATE and DELETE on all tables of its schema',
  )
}

function clocks(offsetMs: number): Finding {
  const says = `its clock is ${seconds(offsetMs)} ${offsetMs < 0 ? 'behind' : 'ahead of'} this machine's`
  const verdict = clockVerdict(offsetMs)
  if (verdict === 'ok') return ok(says, { offsetMs })
  return {
    ...findingsOf('database')[verdict](
      `${says}, and Curfew goes by it`,
      'let both machines set their clocks by NTP',
    ),
    values: { offsetMs },
  }
}
