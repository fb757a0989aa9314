import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { type Clock, systemClock } from '../../src/clock.ts'
import { checkDigitalSamba } from '../../src/doctor/digital-samba.ts'
import type { Finding, Part, Verdict } from '../../src/doctor/finding.ts'
import { checkWebhook, type WebhookWish } from '../../src/doctor/webhook.ts'
import { readConfig } from '../../src/plugins/environment.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import { openDatabase } from '../../src/storage/engine/database.ts'
import type { Db } from '../../src/storage/schema.ts'
import { MACHINE } from '../helper/machine.ts'
import { environment } from '../helper/service.ts'

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const DOCTOR = pathOf('../../src/doctor/doctor.ts')
export const CLOCK_OFFSET = pathOf('../chaos/clock-offset.ts')
export const SECRET = 'sEcReT-webhook-0123456789'
export const HOOK = 'https://curfew.example.org/v1/webhooks/digital-samba'
const DEVELOPER_KEY = 'sEcReT-developer-key-0123'
const API_KEY = 'sEcReT-booking-0123456789'

interface Consultation extends Read {
  code: number
  stdout: string
  stderr: string
}

interface Read {
  findings: Finding[]
  /** what it says of one part, a line each: the verdict, what it says and what to do */
  of(part: Part): string[]
  verdicts(part: Part): Verdict[]
}

interface Case {
  args?: string[]
  env?: Record<string, string>
  /** before the script, for node itself */
  node?: string[]
  /** the command that node is started by */
  by?: string[]
  /** where it is looked for; an empty folder by default */
  cwd?: string
}

export interface Practice {
  sandbox: Sandbox
  /** of a fresh ledger of this version, unless somebody else's is given */
  databaseUrl: string
  file: string
  /** A process of its own. */
  consult(more?: Case): Promise<Consultation>
  /** The same questions to Digital Samba without one, for the many cases that differ in the answer alone. */
  ask(more?: { env?: Record<string, string>; wish?: Partial<WebhookWish>; clock?: Clock }): Promise<Read>
}

/** A sandbox whose webhook is as it should be, and a ledger that nobody is using. */
export async function practice(t: Test, databaseUrl?: string): Promise<Practice> {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-doctor-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const url = databaseUrl ?? `file:${join(folder, 'curfew.db')}`
  const sandbox = await startSandbox({ developerKey: DEVELOPER_KEY })
  t.teardown(() => sandbox.close())
  let made: Promise<void> | undefined
  const withEnv = (env: Record<string, string>) => ({
    ...environment(sandbox, url),
    DIGITAL_SAMBA_DEVELOPER_KEY: DEVELOPER_KEY,
    DIGITAL_SAMBA_WEBHOOK_SECRET: SECRET,
    API_KEYS: `booking:${API_KEY}`,
    ...env,
  })
  const ask: Practice['ask'] = async ({ env = {}, wish = {}, clock = systemClock } = {}) => {
    const config = await readConfig(withEnv(env), folder)
    const { findings, inquiry } = await checkDigitalSamba(config, clock)
    const webhook = inquiry
      ? await checkWebhook(config, inquiry, { url: undefined, fix: false, ...wish })
      : []
    t.notMatch(JSON.stringify([findings, webhook]), /sEcReT/, 'no secret is told')
    return read([...findings, ...webhook])
  }
  const consult = async ({ args = [], env = {}, node = [], by = [], cwd = folder }: Case = {}) => {
    if (!databaseUrl && !made) made = ledgerAt(url)
    await made
    const done = await run([...by, process.execPath, ...node, DOCTOR, ...args], withEnv(env), cwd)
    t.notMatch(done.stdout + done.stderr, /sEcReT/, 'no secret is told')
    return done
  }
  return { sandbox, databaseUrl: url, file: url.replace(/^file:/, ''), consult, ask }
}

/** Makes a ledger of this version, and what `fill` puts into it. */
export async function ledgerAt(
  url: string,
  fill: (db: Db) => Promise<unknown> = async () => {},
): Promise<void> {
  const database = await openDatabase({ url, clock: systemClock })
  await fill(database.writes).finally(() => database.close())
}

export const goodHook = (more: object = {}) =>
  ({
    endpoint: HOOK,
    events: ['session_started', 'session_ended'],
    authorizationHeader: SECRET,
    ...more,
  }) as Parameters<Sandbox['createWebhook']>[0]

async function run(command: string[], env: Record<string, string>, cwd: string): Promise<Consultation> {
  const [program = '', ...args] = command
  const options = { cwd, env: { ...MACHINE, ...env }, timeout: 60_000 }
  const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>(
    (resolve) =>
      execFile(program, args, options, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      ),
  )
  return {
    code,
    stdout,
    stderr,
    ...read(stdout.startsWith('{') ? JSON.parse(stdout).findings : parse(stdout)),
  }
}

function read(findings: Finding[]): Read {
  const ofPart = (part: Part) => findings.filter((finding) => finding.part === part)
  const of = (part: Part) =>
    ofPart(part).map(
      ({ verdict, says, todo }) => `${verdict}: ${says}${todo === undefined ? '' : ` → ${todo}`}`,
    )
  return { findings, of, verdicts: (part) => ofPart(part).map(({ verdict }) => verdict) }
}

const TITLES: Record<string, Part> = {
  Configuration: 'configuration',
  Database: 'database',
  'Digital Samba': 'digital-samba',
  "Digital Samba's webhook": 'webhook',
  Endings: 'endings',
}
const MARKS: Record<string, Verdict> = { '✓': 'ok', '!': 'warning', '✗': 'wrong', '–': 'skipped' }

/** What people read, as programs would: both have to say the same. */
function parse(text: string): Finding[] {
  const findings: Finding[] = []
  let part: Part = 'configuration'
  for (const line of text.split('\n')) {
    part = TITLES[line] ?? part
    const [, mark, says] = /^ {2}([✓!✗–]) (.*)$/.exec(line) ?? []
    const [, todo] = /^ {4}→ (.*)$/.exec(line) ?? []
    if (mark && says) findings.push({ part, verdict: MARKS[mark] as Verdict, says })
    else if (todo) Object.assign(findings.at(-1) as Finding, { todo })
  }
  return findings
}
