import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import manifest from '../package.json' with { type: 'json' }
import { curfew, serverOptions } from './app.ts'
import { systemClock } from './clock.ts'
import { type Config, ConfigError } from './config/config.ts'
import { unknownInDotEnv } from './config/sources.ts'
import { createLogger } from './logger.ts'
import { readConfig } from './plugins/environment.ts'
import { startLine } from './start-line.ts'
import { startProblem } from './start-problem.ts'
import { warmUp } from './warm-up.ts'

// Beyond the worker's own grace: the last requests are answered and the ledger is closed.
const CLOSING_MS = 5000
// Once the line that says so is written: whoever asks meanwhile waits no longer than until it would have been ready otherwise.
const COLLECTED_AFTER_MS = 15

const config = await configOrExit()
const log = createLogger(config.log)
const app = Fastify(serverOptions(log))
const unknown = unknownInDotEnv(process.cwd())
if (unknown.length > 0) log.warn({ names: unknown }, 'config.unknown_in_dotenv')

const delay = config.drainDelayMs + config.shutdownGraceMs + CLOSING_MS
closeWithGrace({ delay, logger: false }, async ({ signal, err }) => {
  if (err) log.fatal({ err }, 'service.failed')
  log.info({ signal }, 'service.stopping')
  if (!err) await drained()
  await app.close()
  log.info('service.stopped')
})

try {
  await app.register(fp(curfew), { config })
  await app.ready()
  const about = await startLine(app, config, manifest.version)
  await warmUp(app.database, log)
  const address = await app.listen({ host: config.host, port: config.port })
  log.info({ address, ...about }, 'service.ready')
  setTimeout(giveBackMemory, COLLECTED_AFTER_MS)
} catch (error) {
  const problem = startProblem(error, config)
  // A stack helps only where Curfew itself is wrong.
  log[problem ? 'debug' : 'fatal']({ err: error }, 'service.not_started')
  if (problem) process.stderr.write(`curfew: cannot start: ${problem}\n`)
  process.exit(1)
}

/** Load balancers see that it is not ready, and send the next requests elsewhere; it answers those that still come. */
async function drained(): Promise<void> {
  if (!app.hasDecorator('drain')) return
  app.drain()
  if (config.drainDelayMs > 0) await systemClock.sleep(config.drainDelayMs)
}

/**
 * Compiling some hundred modules and schemas leaves 35 MB that an idle service would keep for good. V8 gives them back
 * if it is asked to, which takes some 80 ms, and there is no better time than before the first requests.
 */
function giveBackMemory(): void {
  setFlagsFromString('--expose-gc')
  const collect: NodeJS.GCFunction = runInNewContext('gc')
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

/** Whoever starts the service reads this on a terminal or in a container's log: plain lines, no stack. */
async function configOrExit(): Promise<Config> {
  try {
    return await readConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(
      `curfew: the configuration is not right:\n${error.problems.map((line) => `  ${line}\n`).join('')}`,
    )
    process.exit(1)
  }
}
