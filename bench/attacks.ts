import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { EVENT_SECRETS } from '../test/events/signing.ts'
import { environment, KEYS } from '../test/helper/service.ts'
import { residentMb } from './measure.ts'
import { startMeasured } from './process.ts'

/**
 * `node bench/attacks.ts [NAME…]`: a real Curfew for each attack, another process that attacks it, and meanwhile a
 * caller who asks for the status and for an ending every 20 ms. What is told is the most memory that the service took
 * and the longest that this caller waited.
 */
const EVERY_MS = 20
const AFTER_MS = 1000
const ATTACKING = fileURLToPath(new URL('./attacking.ts', import.meta.url))

interface Attack {
  attack: string
  what: string
  env?: Record<string, string>
  openFiles?: number
}
const ATTACKS: Attack[] = [
  { attack: 'none', what: 'nothing, for comparison' },
  { attack: 'signatures', what: '700 connections with 1 MiB and a signature, no secrets' },
  { attack: 'signatures', what: 'the same, secrets configured', env: { EVENT_SECRETS } },
  { attack: 'wrong-events', what: '20 wrong events of 1 MiB at once' },
  { attack: 'nonsense', what: '200 times 64 KiB of nonsense, 20 at once' },
  { attack: 'waiters', what: '4000 requests with Prefer: wait=30 at once' },
  { attack: 'idle', what: '1100 idle connections, 1024 files', openFiles: 1024 },
  { attack: 'batches', what: '4 batches of 1 MiB with 58,000 targets each' },
  { attack: 'batches-of-1000', what: '4 batches with 1000 targets each' },
]

/** One caller, over two connections that stay open. */
function startCaller(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 2 })
  const stop = new AbortController()
  const waits: number[] = []
  let failed = 0
  const ask = async (method: string, path: string, body?: string) => {
    const began = performance.now()
    const headers = { authorization: `Bearer ${KEYS.billing}`, 'content-type': 'application/json' }
    const sent = request(`${url}${path}`, { agent, method, headers })
    sent.end(body)
    try {
      const [answer] = await once(sent, 'response')
      answer.resume()
      await once(answer, 'end')
      if (answer.statusCode >= 300) failed += 1
    } catch {
      failed += 1
    }
    waits.push(performance.now() - began)
  }
  const run = async () => {
    while (!stop.signal.aborted) {
      const body = JSON.stringify({ dueAt: new Date(Date.now() + 3_600_000).toISOString() })
      await Promise.all([
        ask('GET', '/status'),
        ask('POST', `/v1/sessions/${randomUUID()}/end`, body),
        pause(EVERY_MS),
      ])
    }
    agent.destroy()
  }
  const running = run()
  const end = () => {
    stop.abort()
    return running
  }
  return { waits, failed: () => failed, stop: end }
}

async function measure({ attack, what, env = {}, openFiles }: Attack) {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-attack-'))
  const sandbox = await startSandbox()
  const all = environment(sandbox, `file:${join(folder, 'curfew.db')}`, env)
  const curfew = await startMeasured(all, openFiles)
  const before = residentMb(curfew.pid)
  let most = before
  const watching = setInterval(() => {
    most = Math.max(most, residentMb(curfew.pid))
  }, 20)
  const caller = startCaller(curfew.url)
  await pause(AFTER_MS)
  // The first requests compile what they need; that is not what the attack costs.
  caller.waits.length = 0
  const attacker = spawn(process.execPath, [ATTACKING, attack, curfew.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let answers = ''
  attacker.stdout.on('data', (chunk) => {
    answers += chunk
  })
  await once(attacker, 'close')
  await pause(AFTER_MS)
  await caller.stop()
  clearInterval(watching)
  await curfew.end('SIGKILL')
  await sandbox.close()
  rmSync(folder, { recursive: true, force: true })
  const waits = caller.waits.sort((a, b) => a - b)
  const p99 = Math.round(waits[Math.floor(waits.length * 0.99)] ?? 0)
  const longest = Math.round(waits.at(-1) ?? 0)
  const figures = `${before} → ${most} MB, longest wait ${longest} ms (p99 ${p99}), ${caller.failed()} of ${waits.length} failed`
  process.stdout.write(`${what}: ${figures}; attacker was answered ${answers}\n`)
}

const chosen = process.argv.slice(2)
for (const attack of ATTACKS) if (chosen.length === 0 || chosen.includes(attack.attack)) await measure(attack)
