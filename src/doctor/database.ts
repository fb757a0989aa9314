import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { startProblem } from '../start-problem.ts'
import { type SchemaState, schemaState } from '../storage/inspection.ts'
import { type Finding, findingsOf } from './finding.ts'
import type { Opened } from './opened.ts'
import { openPostgres } from './postgres.ts'
import { openSqlite } from './sqlite.ts'

const { ok, wrong } = findingsOf('database')

/** Also says whether the ledger can be read as one of this version. */
export async function checkDatabase(config: Config, clock: Clock): Promise<Opened & { isCurrent: boolean }> {
  const opened = config.databaseUrl.startsWith('file:')
    ? await openSqlite(config)
    : await openPostgres(config, clock)
  if (!opened.db) return { ...opened, isCurrent: false }
  const state = await schemaState(opened.db).catch((error: Error) => error)
  if (state instanceof Error) {
    const problem = startProblem(state, config)
    if (problem === undefined) throw state
    await opened.db.destroy()
    const unreadable = wrong(problem, 'Curfew does not start before that is right')
    return { ...opened, db: undefined, findings: [...opened.findings, unreadable], isCurrent: false }
  }
  return { ...opened, findings: [...opened.findings, schema(state)], isCurrent: state.is === 'current' }
}

function schema({ is, version }: SchemaState): Finding {
  const values = { schema: version ?? null }
  switch (is) {
    case 'current':
      return ok(`its tables are this version's (${version})`, values)
    case 'empty':
      return ok('it is empty; the first start makes the tables', values)
    case 'older':
      return ok(`its tables are an older version's (${version}); the start migrates them`, values)
    case 'newer':
      return {
        ...wrong(
          `its tables are a newer version's (${version}): this one does not start with them`,
          'start that version, or restore a backup of before',
        ),
        values,
      }
    case 'foreign':
      return wrong('it holds tables that are not of Curfew', 'name another database in DATABASE_URL')
  }
}
