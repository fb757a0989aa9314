import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { ask } from '../helper/curfew.ts'
import { MACHINE } from '../helper/machine.ts'
import { NOTIFY_SECRET, tells } from '../helper/receiver.ts'
import { until } from '../helper/service.ts'
import { blocks, forExamples } from './examples.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The receiver of the page as a process, and the lines that it says. */
async function startExample(t: Test, port: number) {
  const [program = ''] = blocks('notifications.md', 'ts')
  t.ok(program.trim().split('\n').length <= 15, 'fifteen lines')
  // In the project's folder, so that its libraries are found.
  const file = `${root}/receiver-${randomUUID()}.ts`
  writeFileSync(file, program)
  t.teardown(() => rmSync(file))
  const child = spawn(process.execPath, [file], {
    env: { ...MACHINE, PORT: String(port), SECRET: NOTIFY_SECRET },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  child.stdout.on('data', (data) => lines.push(...String(data).trim().split('\n')))
  t.teardown(() => child.kill())
  const url = `http://127.0.0.1:${port}/`
  await until(() =>
    fetch(url, { method: 'POST', body: '{}' }).then(
      ({ status }) => status === 400,
      () => false,
    ),
  )
  return { lines, url }
}

t.test('the receiver of docs/notifications.md is told, once, and takes nothing that is forged', async (t) => {
  const sandbox = await startSandbox()
  t.teardown(() => sandbox.close())
  const { lines, url } = await startExample(t, await freePort())
  const { id: session } = sandbox.startSession({ room: sandbox.createRoom().id })
  const { curfew, shell } = await forExamples(t, sandbox, tells({ booking: { url } }))
  const asked = await ask(curfew.url, `/v1/sessions/${session}/end`, { key: 'booking:8731' })
  t.equal(asked.statusCode, 202)
  await until(() => lines.length > 0)
  t.same(lines, ['curfew.ending.ended booking:8731'])

  const answers = (await shell(blocks('notifications.md', 'sh')[1] as string)).replaceAll('}{', '}\n{')
  const [list, rehearsed] = answers.split('\n').map((line) => JSON.parse(line))
  t.same(list, { data: [], nextCursor: null })
  t.match(rehearsed, { matched: 0, dryRun: true })
})
