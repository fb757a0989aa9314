import { execFile } from 'node:child_process'
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config/config.ts'
import { startProblem } from '../start-problem.ts'
import { isInUse, openSqliteForReading } from '../storage/engine/reading.ts'
import type { Db } from '../storage/schema.ts'
import { type Finding, findingsOf } from './finding.ts'
import type { Opened } from './opened.ts'

const { ok, warning, wrong, skipped } = findingsOf('database')
const QUICK_CHECK = fileURLToPath(new URL('quick-check.ts', import.meta.url))
const QUICK_CHECK_MS = 6000
const LITTLE_ROOM_BYTES = 100 * 1024 * 1024

/** The file of a ledger, read beside whoever works on it. It is not made where it is missing. */
export async function openSqlite(config: Config): Promise<Opened> {
  const file = config.databaseUrl.slice('file:'.length)
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found) return { findings: [missing(file)], db: undefined, offsetMs: 0 }
  let db: Db | undefined
  try {
    const isRunning = isInUse(file)
    db = openSqliteForReading(file)
    const log = statSync(`${file}-wal`, { throwIfNoEntry: false })
    const size = `${file}, ${sizeOf(found.size + (log?.size ?? 0))}`
    const findings = [
      ok(isRunning ? `${size}; a Curfew is running on it` : `${size}; no Curfew is running on it`),
      ...writable(file),
      await integrity(file),
    ]
    return { findings, db, offsetMs: 0 }
  } catch (error) {
    await db?.destroy()
    const problem = startProblem(error, config)
    if (problem === undefined) throw error
    return {
      findings: [wrong(problem, 'Curfew does not start before that is right')],
      db: undefined,
      offsetMs: 0,
    }
  }
}

function sizeOf(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}

function missing(file: string): Finding {
  const folder = dirname(file)
  // The start makes the last folder of the path, and no more.
  const place = statSync(folder, { throwIfNoEntry: false }) ? folder : dirname(folder)
  const flaw = writingFlaw(() => accessSync(place, constants.W_OK | constants.X_OK))
  if (flaw === undefined) return ok(`${file} is not there yet; the first start makes it`)
  return wrong(
    `DATABASE_URL: ${file} is not there, and cannot be made in ${place} (${flaw})`,
    'make that folder, or give the user of Curfew the right to write there',
  )
}

/** Also shows a full disk and one that is mounted read-only, and leaves nothing behind. */
function writable(file: string): Finding[] {
  const flaw = writingFlaw(() => {
    for (const part of [file, `${file}-wal`, `${file}-shm`, `${file}.lock`])
      if (statSync(part, { throwIfNoEntry: false })) accessSync(part, constants.R_OK | constants.W_OK)
    const probe = `${file}.doctor-${process.pid}`
    const written = openSync(probe, 'wx')
    try {
      writeSync(written, Buffer.alloc(4096))
      fsyncSync(written)
    } finally {
      closeSync(written)
      unlinkSync(probe)
    }
  })
  if (flaw !== undefined)
    return [
      wrong(
        `${file} cannot be written (${flaw}): nothing can be accepted`,
        'look at the rights of the file and its folder, at whether the disk is full or mounted read-only, and at which user this is',
      ),
    ]
  const { bavail, bsize } = statfsSync(dirname(file))
  const left = bavail * bsize
  if (left > LITTLE_ROOM_BYTES) return [ok('it can be written')]
  const room = `${Math.floor(left / 1024 / 1024)} MiB are left on its disk`
  return [warning(`it can be written, but only ${room}`, 'make room: an ending takes some 2 KB')]
}

function writingFlaw(attempt: () => void): string | undefined {
  try {
    attempt()
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    return code
  }
}

/** In a process of its own: a statement of SQLite cannot be broken off, and a large file takes long. */
async function integrity(file: string): Promise<Finding> {
  const { killed, stdout, failed } = await new Promise<{ killed: boolean; stdout: string; failed: boolean }>(
    (resolve) => {
      const options = { timeout: QUICK_CHECK_MS, killSignal: 'SIGKILL' } as const
      execFile(process.execPath, [QUICK_CHECK, file], options, (error, stdout) =>
        resolve({ killed: error?.killed ?? false, stdout: stdout.trim(), failed: error !== null }),
      )
    },
  )
  const whole = `sqlite3 ${file} "pragma integrity_check"`
  if (killed)
    return skipped(`it is too large to be checked in ${QUICK_CHECK_MS / 1000} s; at a quiet time: ${whole}`)
  if (!failed && stdout === 'ok') return ok('it is whole (pragma quick_check)')
  return wrong(
    `it is damaged: ${stdout.split('\n', 1)[0] || 'it cannot be read to its end'}`,
    `stop Curfew, keep a copy of the file, look closer with ${whole}, and restore a backup`,
  )
}
