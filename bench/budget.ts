import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { startProcess } from '../test/helper/process.ts'
import { environment, KEYS } from '../test/helper/service.ts'

/** In real time, smaller: 90 endings due at one moment against a far side that allows 30 calls in a fixed minute. */
const PER_MINUTE = 30
const CROWD = 90
const folder = mkdtempSync(join(tmpdir(), 'curfew-budget-'))
const sandbox = await startSandbox({ callsPerMinute: PER_MINUTE })
const env = environment(sandbox, `file:${join(folder, 'curfew.db')}`, {
  CALLS_PER_MINUTE: String(PER_MINUTE),
})
const curfew = await startProcess(env)
const room = sandbox.createRoom({}).id
const dueAt = new Date(Date.now() + 1000).toISOString()
for (let i = 0; i < CROWD; i += 1) {
  const { id } = sandbox.startSession({ room })
  await fetch(`${curfew.url}/v1/sessions/${id}/end`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.booking}`, 'content-type': 'application/json' },
    body: JSON.stringify({ dueAt }),
  })
}
const ended = () => sandbox.calls.filter(({ operation, status }) => operation === 'end' && status === 200)
await sandbox.waitForCalls(() => ended().length === CROWD)
const took = ((ended().at(-1)?.at ?? 0) - Date.parse(dueAt)) / 1000
const least = 60 * (CROWD / PER_MINUTE - 1)
const wasted = sandbox.calls.filter(({ status }) => status === 429).length
process.stdout.write(
  `${CROWD} at ${PER_MINUTE} a minute: ${took} s, least possible ${least} s, ${wasted} met a 429\n`,
)
curfew.signal('SIGTERM')
await curfew.exited
await sandbox.close()
rmSync(folder, { recursive: true, force: true })
process.exit(took <= least * 1.05 && wasted <= CROWD * 0.01 ? 0 : 1)
