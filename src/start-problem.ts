import type { Config } from './config/config.ts'

interface Failure {
  code?: string
  errcode?: number
  message: string
  cause?: unknown
}

/**
 * Why the service cannot start, in a line that names the variable and what to do; undefined where that is not known,
 * which is a defect of Curfew's own. No line repeats a password.
 */
export function startProblem(error: unknown, config: Config): string | undefined {
  if (!(error instanceof Error)) return undefined
  const failure = error as Failure
  return (
    listenProblem(failure, config) ??
    (config.databaseUrl.startsWith('file:')
      ? sqliteProblem(failure, config.databaseUrl.slice('file:'.length))
      : postgresProblem(failure, config.databaseUrl))
  )
}

function listenProblem({ code, ...failure }: Failure, { host, port }: Config): string | undefined {
  if ((failure as { syscall?: string }).syscall !== 'listen' && code !== 'ENOTFOUND') return undefined
  if (!('port' in failure) && code === 'ENOTFOUND') return undefined
  switch (code) {
    case 'EADDRINUSE':
      return `PORT ${port} on ${host} is in use by another process; end that one, or set another PORT (${code})`
    case 'EACCES':
      return `PORT ${port} may not be used by this user; set one above 1023 (${code})`
    case 'EADDRNOTAVAIL':
      return `HOST ${host} is no address of this machine; 0.0.0.0 stands for all of them (${code})`
    default:
      return `HOST ${host} and PORT ${port} cannot be listened on (${code})`
  }
}

const SQLITE: Record<number, string> = {
  5: 'is locked by another program; end that one',
  8: 'cannot be written; give this user the right to write there',
  10: 'cannot be read or written (input/output error); look at the disk',
  11: 'is damaged; restore a backup',
  13: 'cannot be written: the disk is full',
  14: 'cannot be opened; it has to be a file in a folder where this user may write',
  26: 'is not a SQLite database; name another file, or restore a backup',
}

function sqliteProblem({ code, errcode, message }: Failure, file: string): string | undefined {
  const about = `DATABASE_URL: ${file}`
  if (code === 'DATABASE_IN_USE') return `DATABASE_URL: ${message}`
  if (isNewer(message)) return `${about} ${NEWER}`
  if (code === 'ENOENT')
    return `${about} is in a folder whose parent does not exist; make that folder (ENOENT)`
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return `${about} is in a folder that cannot be made; give this user the right to write there (${code})`
  if (code === 'ENOTDIR') return `${about} is below something that is no folder (ENOTDIR)`
  const wrong = errcode === undefined ? undefined : SQLITE[errcode & 0xff]
  return wrong && `${about} ${wrong} (SQLite error ${errcode})`
}

const POSTGRES: Record<string, string> = {
  ECONNREFUSED: 'refuses the connection; is PostgreSQL running there, and is the port right?',
  ECONNRESET: 'breaks the connection off; is that PostgreSQL?',
  ENOTFOUND: 'is a host that nobody knows',
  EAI_AGAIN: 'is a host that cannot be looked up now; is the name server there?',
  ETIMEDOUT: 'does not answer; is a firewall between?',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
  '28P01': 'refuses the password',
  '28000': 'refuses the user; look at pg_hba.conf',
  '3D000': 'has no such database; create it',
  '42501': 'does not let this user create tables; grant CREATE on its schema',
  '53300': 'has no connection left; raise max_connections',
  '57P03': 'is starting up; try again in a moment',
  '25006': 'is read-only; name the primary server',
}

function postgresProblem({ code, message }: Failure, url: string): string | undefined {
  const { hostname, port, pathname } = URL.parse(url) ?? { hostname: '?', port: '', pathname: '' }
  const about = `DATABASE_URL: ${hostname}:${port || 5432}${pathname}`
  if (isNewer(message)) return `${about} ${NEWER}`
  const wrong = code === undefined ? undefined : POSTGRES[code]
  if (wrong) return `${about} ${wrong} (${code})`
  return /timeout|timed out|terminated/i.test(message) ? `${about} ${POSTGRES.ETIMEDOUT}` : undefined
}

const NEWER = 'belongs to a newer version of Curfew; start that one, or restore a backup of before'
// Kysely's words for a migration that was carried out and that this version does not have.
const isNewer = (message: string) => /corrupted migrations: previously executed migration/.test(message)
