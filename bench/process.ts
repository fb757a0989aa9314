import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const SERVER = fileURLToPath(new URL('../src/server.ts', import.meta.url))
// As `npm start` and the image have it; the first start fills it.
const NODE_COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/curfew', import.meta.url))
const LOOK_EVERY_MS = 5

export interface Measured {
  /** a service that knows neither keys nor bodies */
  isPeer: boolean
  url: string
  pid: number
  end(signal: NodeJS.Signals): Promise<void>
}

/**
 * A Curfew process whose log goes to a file: were it a pipe to the program that measures, reading it would take from
 * what is measured. Resolves when it is ready.
 */
export async function startMeasured(
  env: Record<string, string>,
  openFiles?: number,
  server?: string,
): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-log-'))
  const file = join(folder, 'log')
  const log = openSync(file, 'w')
  // A shell that becomes the process, with the limit that was asked for.
  const limit = openFiles === undefined ? '' : `ulimit -n ${openFiles}; `
  const child = spawn('/bin/sh', ['-c', `${limit}exec "$0" "$1"`, process.execPath, server ?? SERVER], {
    cwd: '/',
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE, ...env, LOG_LEVEL: 'info' },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const exited = once(child, 'exit')
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
  for (;;) {
    const url = /"address":"(http:[^"]+)"/.exec(readFileSync(file, 'utf8'))?.[1]
    if (url) return { url, pid: child.pid as number, end, isPeer: server?.endsWith('peer.ts') ?? false }
    if (child.exitCode !== null) throw new Error(readFileSync(file, 'utf8'))
    await pause(LOOK_EVERY_MS)
  }
}
