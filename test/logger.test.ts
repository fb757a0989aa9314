import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'

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

// More than any pipe holds, so that it is still being written when the last line comes.
const MUCH = 4 * 1024 * 1024

t.test('a line that comes while others are written, and before a quiet hour, is written too', async (t) => {
  const script = `const { createLogger } = await import(${JSON.stringify(LOGGER)})
    const log = createLogger({ level: 'info', format: 'json' })
    log.info({ much: 'x'.repeat(${MUCH}) }, 'much')
    setTimeout(() => log.info('last'), 50)
    setTimeout(() => process.send('both'), 150)
    process.on('message', () => process.exit())`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  // Nobody reads until both are logged.
  await once(child, 'message')
  const said: string[] = []
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    said.push(JSON.parse(line).msg)
    if (said.includes('last')) break
  }
  t.same(said, ['much', 'last'], 'while the process lives')
  t.equal(child.exitCode, null)
})
