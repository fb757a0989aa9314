import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { examplesOf } from '../test/openapi/examples.ts'
import { everyExchange } from '../test/openapi/exchanges.ts'
import { made } from '../test/openapi/made.ts'

/**
 * `npm run openapi`: writes openapi.json from the routes. What is not described it says, and then writes nothing. With
 * `--examples` it first asks a real service, with its sandbox, for everything, and keeps the answers as examples.
 */
const root = new URL('..', import.meta.url)

if (process.argv.includes('--examples')) {
  const teardowns: (() => unknown)[] = []
  const { exchanges } = await everyExchange({ teardown: (done) => teardowns.push(done) } as Pick<
    Test,
    'teardown'
  > as Test)
  for (const done of teardowns.reverse()) await done()
  const examples = new URL('src/openapi/examples.json', root)
  writeFileSync(examples, `${JSON.stringify(examplesOf(exchanges), null, 2)}\n`)
  process.stdout.write('src/openapi/examples.json is written\n')
  // The examples of this process are the old ones.
  execFileSync(process.execPath, [fileURLToPath(import.meta.url)], { stdio: 'inherit' })
} else {
  try {
    writeFileSync(new URL('openapi.json', root), await made())
    process.stdout.write('openapi.json is written\n')
  } catch (error) {
    process.stderr.write(`openapi.json is not written:\n${(error as Error).message}\n`)
    process.exitCode = 1
  }
}
