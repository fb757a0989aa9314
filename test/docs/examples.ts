import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { MACHINE } from '../helper/machine.ts'
import { type Process, startProcess } from '../helper/process.ts'
import { environment, KEYS } from '../helper/service.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

const SECRET = `whsec_${Buffer.from('event-secret-for-developing-only').toString('base64')}`

/** The fenced blocks of a page in that language, in order. */
export function blocks(page: string, language: string): string[] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code]) => code as string,
  )
}

/** A Curfew process as the examples expect it, and how to run one of them against it. */
export async function forExamples(t: Test, sandbox: Sandbox, more: Record<string, string> = {}) {
  const curfew = await startProcess(
    environment(sandbox, `file:${t.testdir()}/curfew.db`, { EVENT_SECRETS: `billing:${SECRET}`, ...more }),
  )
  t.teardown(() => stop(curfew))
  const env = { ...MACHINE, CURFEW: curfew.url, KEY: KEYS.booking, SECRET }
  const shell = async (code: string) => (await run('bash', ['-euc', code], { cwd: root, env })).stdout
  // From the project's folder, so that its libraries are found.
  const node = async (code: string) =>
    (await run(process.execPath, ['--input-type=module', '-e', code], { cwd: root, env })).stdout
  return { curfew, shell, node }
}

async function stop(curfew: Process): Promise<void> {
  curfew.signal('SIGTERM')
  await curfew.exited
}
