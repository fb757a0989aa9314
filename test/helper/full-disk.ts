import { spawn, spawnSync } from 'node:child_process'
import { on, once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { freshUrl } from './engines.ts'
import { MACHINE } from './machine.ts'
import type { Process } from './process.ts'
import { environment } from './service.ts'

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))

/** A Curfew on SQLite whose disk can be full. */
export interface OnDisk {
  curfew: Process
  databaseUrl: string
  fill(): void
  free(): void
}

// No call waits for another minute.
const MANY = { CALLS_PER_MINUTE: '100000' }

// Without what tap adds to every process: it would end ours at the signal that a file must not grow, which Node ignores.
const PLAINLY = ['env', '-u', 'NODE_OPTIONS', process.execPath, SERVER]

const ran = (command: string, ...args: string[]) => spawnSync(command, args).status === 0

/** No file of the process may grow: every write is refused that would make one longer than it is not. */
export const limited = {
  missing: ran('prlimit', '--version') ? false : 'prlimit is not there',
  start: async (t: Test, sandbox: Sandbox): Promise<OnDisk> => {
    const databaseUrl = await freshUrl(t, 'sqlite')
    const curfew = await spawned(t, PLAINLY, environment(sandbox, databaseUrl, MANY))
    const limit = (bytes: number | 'unlimited') => {
      // Only the soft limit, so that it can be raised again; Node ignores the signal that comes with it.
      if (!ran('prlimit', '--pid', String(curfew.pid), `--fsize=${bytes}:`)) throw new Error('no limit set')
    }
    return { curfew, databaseUrl, fill: () => limit(4096), free: () => limit('unlimited') }
  },
}

const UNSHARE = ['--mount', ...(process.getuid?.() === 0 ? [] : ['--map-root-user'])]
const MOUNT = 'mount -t tmpfs -o size=32m tmpfs "$0"'

/**
 * A disk of 32 MiB that another file fills up. It is mounted for that process alone and goes with it; from outside it is
 * seen through /proc.
 */
export const small = {
  missing: ran('unshare', ...UNSHARE, 'bash', '-c', MOUNT, '/mnt') ? false : 'nothing can be mounted here',
  start: async (t: Test, sandbox: Sandbox): Promise<OnDisk> => {
    const folder = t.testdir({})
    const databaseUrl = `file:${join(folder, 'curfew.db')}`
    const env = environment(sandbox, databaseUrl, MANY)
    const launcher = ['unshare', ...UNSHARE, 'bash', '-c', `${MOUNT} && exec "$@"`, folder]
    const curfew = await spawned(t, [...launcher, ...PLAINLY], env)
    const ballast = join(`/proc/${curfew.pid}/root`, folder, 'ballast')
    const fill = () => {
      for (let bytes = 32 * 1024 * 1024; bytes >= 1; bytes /= 2) append(ballast, bytes)
    }
    return { curfew, databaseUrl, fill, free: () => rmSync(ballast) }
  },
}

/** As `startProcess`, but by way of programs that become the process in the end. */
async function spawned(t: Test, [program, ...args]: string[], env: Record<string, string>): Promise<Process> {
  const child = spawn(program as string, args, {
    // Where there is no .env file.
    cwd: '/',
    env: { ...MACHINE, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  t.teardown(() => child.kill('SIGKILL') && exited)
  const lines: string[] = []
  const output = createInterface({ input: child.stdout })
  output.on('line', (line) => lines.push(line))
  const curfew = {
    pid: child.pid as number,
    lines,
    signal: (name: NodeJS.Signals) => void child.kill(name),
    exited,
  }
  for await (const [line] of on(output, 'line', { close: ['close'] })) {
    const { msg, address } = JSON.parse(line)
    if (msg === 'service.ready') return { ...curfew, url: address as string }
  }
  throw new Error(`not ready:\n${lines.join('\n')}`)
}

/** As much of it as there is room for. */
function append(file: string, bytes: number): void {
  try {
    writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' })
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOSPC') throw error
  }
}
