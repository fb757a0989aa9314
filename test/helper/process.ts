import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { MACHINE } from './machine.ts'

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))

export interface Process {
  url: string
  pid: number
  /** every line of its output so far */
  lines: string[]
  signal(name: NodeJS.Signals): void
  /** Resolves with its exit code, or null where a signal ended it. */
  exited: Promise<number | null>
}

/** A Curfew process of its own. Resolves when it is ready; rejects with its output where it exits before. */
export async function startProcess(
  env: Record<string, string>,
  cwd = '/',
  server = SERVER,
): Promise<Process> {
  const child = spawn(process.execPath, [server], {
    cwd,
    env: { ...MACHINE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const exited = once(child, 'close').then(([code]) => code as number | null)
  const ready = new Promise<string>((resolve) => {
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream as NonNullable<typeof stream> }).on('line', (line) => {
        lines.push(line)
        const address = /service\.ready/.test(line) && /http:[^"\s,]+/.exec(line)?.[0]
        if (address) resolve(address)
      })
  })
  const url = await Promise.race([
    ready,
    exited.then((code) => Promise.reject(new Error(`exited with ${code}:\n${lines.join('\n')}`))),
  ])
  return { url, pid: child.pid as number, lines, signal: (name) => void kill(child, name), exited }
}

function kill(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.exitCode === null && child.signalCode === null) child.kill(name)
}
