import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { curfew, serverOptions } from '../../src/app.ts'
import { createLogger } from '../../src/logger.ts'
import { documentOf } from '../../src/plugins/document.ts'
import { readConfig } from '../../src/plugins/environment.ts'
import { environment } from '../helper/service.ts'

/** The text that openapi.json has to have. @throws with everything that is not described */
export async function made(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-openapi-'))
  const nowhere = { url: 'http://127.0.0.1:1' }
  const env = environment(nowhere, `file:${join(folder, 'curfew.db')}`, { LOG_LEVEL: 'error' })
  const config = await readConfig(env, folder)
  const app = Fastify(serverOptions(createLogger(config.log)))
  try {
    await app.register(fp(curfew), { config })
    await app.ready()
    return `${JSON.stringify(await documentOf(app.routeList), null, 2)}\n`
  } finally {
    await app.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
