import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { startProcess } from '../helper/process.ts'
import { environment, KEYS } from '../helper/service.ts'
import { blocks, forExamples } from './examples.ts'

t.test('every request of docs/events.md is accepted', async (t) => {
  const sandbox = await startSandbox()
  t.teardown(() => sandbox.close())
  sandbox.createRoom({ friendlyUrl: 'demo-room' })
  const { shell, node } = await forExamples(t, sandbox)
  const requests = blocks('events.md', 'sh').filter((code) => code.startsWith('curl'))
  t.equal(requests.length, 4)
  for (const request of requests) t.match(await shell(request), /"status":"accepted"/, request.slice(0, 80))
  const programs = blocks('events.md', 'js')
  t.equal(programs.length, 2)
  for (const program of programs) t.match(await node(program), /accepted/, program.slice(0, 80))
})

t.test('the secret and key of docs/events.md are those of npm run dev', async (t) => {
  const dev = readFileSync(new URL('../../src/demo/dev.ts', import.meta.url), 'utf8')
  const [exported = ''] = blocks('events.md', 'sh')
  t.match(dev, /export KEY=(.*)/.exec(exported)?.[1] as string)
  const secret = Buffer.from(/SECRET=whsec_(.*)/.exec(exported)?.[1] as string, 'base64').toString()
  t.match(dev, secret)
})

t.test('a type is added by one file and one line, as docs/events.md shows', async (t) => {
  const folder = t.testdir()
  const root = fileURLToPath(new URL('../..', import.meta.url))
  cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const [family = '', lines = ''] = blocks('events.md', 'ts')
  writeFileSync(join(folder, 'src/events/building.ts'), family)
  const [importLine = '', entry = ''] = lines.trim().split('\n')
  const registry = join(folder, 'src/events/registry.ts')
  const before = readFileSync(registry, 'utf8')
  writeFileSync(
    registry,
    `${importLine}\n${before.replace('    ...timeLimit,\n', `    ...timeLimit,\n${entry}\n`)}`,
  )

  const sandbox = await startSandbox()
  t.teardown(() => sandbox.close())
  const session = sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'ground-floor' }).id })
  const env = environment(sandbox, `file:${join(folder, 'curfew.db')}`)
  const curfew = await startProcess(env, '/', join(folder, 'src/server.ts'))
  t.teardown(async () => {
    curfew.signal('SIGTERM')
    await curfew.exited
  })
  const answer = await fetch(`${curfew.url}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.booking}`, 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify({
      specversion: '1.0',
      id: '1',
      source: '/doors',
      type: 'building.closed',
      data: { roomId: 'ground-floor' },
    }),
  })
  t.equal(answer.status, 202)
  t.match(await answer.json(), { events: [{ status: 'accepted', endings: [String] }] })
  await sandbox.waitForCalls(() => !session.live)
  t.notOk(session.live)
})
