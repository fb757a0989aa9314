import type { Test } from 'tap'
import { askAtRandom } from '../test/openapi/at-random.ts'

/** `npm run ask-at-random -- [requests] [seed]`: the long form of test/openapi/at-random.test.ts. Exits 1 on any fault. */
const requests = Number(process.argv[2] ?? 10_000)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
const teardowns: (() => unknown)[] = []
const t = { teardown: (done) => teardowns.push(done) } as Pick<Test, 'teardown'> as Test
process.stdout.write(`${requests} requests made from the document, seed ${seed}\n`)
try {
  process.stdout.write(`${JSON.stringify(await askAtRandom(t, requests, seed), null, 2)}\n`)
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`)
  process.exitCode = 1
} finally {
  for (const done of teardowns.reverse()) await done()
}
