import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const LOGGER = fileURLToPath(new URL('../src/logger.ts', import.meta.url))

t.test('no character from outside moves the cursor of a terminal', async (t) => {
  const outside = [0x00, 0x07, 0x1b, 0x7f, 0x85, 0x9b, 0x2028, 0x202e, 0x2066].map((code) =>
    String.fromCharCode(code),
  )
  const script = `const { createLogger } = await import(${JSON.stringify(LOGGER)})
    const log = createLogger({ level: 'info', format: 'pretty' })
    const text = 'x' + ${JSON.stringify(outside.join('y'))} + 'z'
    log.info({ text, [text]: 1, err: new Error(text), deep: { text } }, text)`
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  t.match(said, /\\u009b/)
  t.match(said, /\\u202e/)
  const raw = [...said].filter((char) => outside.includes(char))
  t.same(raw, [], JSON.stringify(said))
})

/** A process that logs as `script` says, with an IPC channel that keeps it alive. */
function logging(t: Test, script: string) {
  const start = `const { createLogger } = await import(${JSON.stringify(LOGGER)})
    const log = createLogger({ level: 'info', format: 'json' })
    process.on('message', () => {
      log.fatal('end')
      process.exit(3)
    })
    ${script}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', start], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return { child, output: child.stdout as Readable, exited: once(child, 'exit') }
}

// More than any pipe holds, so that it is still being written when the last line comes.
const MUCH = 4 * 1024 * 1024

t.test('a line that comes while others are written, and before a quiet hour, is written too', async (t) => {
  const { child, output } = logging(
    t,
    `log.info({ much: 'x'.repeat(${MUCH}) }, 'much')
    setTimeout(() => log.info('last'), 50)
    setTimeout(() => process.send('both'), 150)`,
  )
  // Nobody reads until both are logged.
  await once(child, 'message')
  const said: string[] = []
  for await (const line of createInterface({ input: output })) {
    said.push(JSON.parse(line).msg)
    if (said.includes('last')) break
  }
  t.same(said, ['much', 'last'], 'while the process lives')
  t.equal(child.exitCode, null)
})

t.test('what is logged last is written before the process is over', async (t) => {
  const { child, output, exited } = logging(t, "log.info('first'); process.send('ready')")
  await once(child, 'message')
  child.send('end')
  const said: string[] = []
  for await (const line of createInterface({ input: output })) said.push(JSON.parse(line).msg)
  t.same(said, ['first', 'end'])
  t.same(await exited, [3, null])
})

for (const [when, script] of [
  ['before anything is said', "process.send('ready')"],
  [
    'while much is written',
    `log.info({ much: 'x'.repeat(${MUCH}) }, 'much'); setTimeout(() => process.send('ready'), 50)`,
  ],
] as const)
  t.test(`a process whose log nobody reads any more, ${when}, ends all the same`, async (t) => {
    const { child, output, exited } = logging(t, script)
    await once(child, 'message')
    output.destroy()
    await once(output, 'close')
    child.send('end')
    t.same(await exited, [3, null])
  })
