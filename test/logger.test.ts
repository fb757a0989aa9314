import { execFileSync } from 'node:child_process'
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
