import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { MACHINE } from '../helper/machine.ts'

const SERVER = fileURLToPath(new URL('../../src/sandbox/server.ts', import.meta.url))

t.test('runs as a program, shows what to try, and ends at once', async (t) => {
  const child = spawn(process.execPath, [SERVER], {
    env: {
      ...MACHINE,
      SANDBOX_PORT: '0',
      PORT: 'x',
      DIGITAL_SAMBA_DEVELOPER_KEY: 'not-to-be-printed',
    },
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    output += chunk
    if (output.includes('/end\n')) break
  }
  const [, url] = /^sandbox: listening on (http:\/\/127\.0\.0\.1:\d+)$/m.exec(output) ?? []
  const [, id] = /demo-room: live session (\S+)/.exec(output) ?? []
  t.ok(url)
  t.match(output, /second-room: live session/)
  t.notMatch(output, 'not-to-be-printed')
  const end = await fetch(`${url}/api/v1/sessions/${id}/end`, {
    method: 'POST',
    headers: { authorization: 'Bearer not-to-be-printed' },
  })
  t.equal(end.status, 200)
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  t.same(await ended, [0, null])
})
