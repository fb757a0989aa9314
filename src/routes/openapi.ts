import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { notFound } from '../plugins/errors.ts'
import type { ListedRoute } from '../plugins/route-list.ts'
import { PAGE, PAGE_HEADERS, PARTS } from './docs-page.ts'
import { Nothing } from './schemas.ts'

const LARGEST_DOCUMENT = 16 * 1024 * 1024

/** The description of this interface, for programs and for people: made when somebody first asks for it. */
export const openapi: FastifyPluginAsyncTypebox = async (app) => {
  const document = kept(() => documentOf(app.routeList))
  const parts = new Map([...PARTS].map(([name, { read }]) => [name, kept(read)]))

  app.route({
    method: 'GET',
    url: '/openapi.json',
    schema: { querystring: Nothing },
    handler: async (_, reply) => reply.type('application/json').send(await document()),
  })
  app.route({
    method: 'GET',
    url: '/docs',
    schema: { querystring: Nothing },
    handler: async (_, reply) => reply.headers(PAGE_HEADERS).type('text/html; charset=utf-8').send(PAGE),
  })
  app.route<{ Params: { '*': string } }>({
    method: 'GET',
    url: '/docs/*',
    config: { isHidden: true },
    schema: { querystring: Nothing },
    handler: async (request, reply) => {
      const name = request.params['*']
      if (name === '') return reply.redirect('../docs')
      const part = parts.get(name)
      if (!part) throw notFound(request)
      return reply
        .headers(PAGE_HEADERS)
        .type(PARTS.get(name)?.type as string)
        .send(await part())
    },
  })
}

const PROCESS = fileURLToPath(new URL('../plugins/document-process.ts', import.meta.url))
const run = promisify(execFile)

/**
 * In a process of its own: it takes some hundred milliseconds and some forty megabytes, and neither what is due nor the
 * memory of a service that goes on for months pays for that. It gets no variable of the environment: there are secrets.
 */
async function documentOf(routes: readonly ListedRoute[]): Promise<string> {
  const made = run(process.execPath, [PROCESS], { env: {}, maxBuffer: LARGEST_DOCUMENT })
  // What is wrong with the process, it says itself.
  made.child.stdin?.on('error', () => {})
  made.child.stdin?.end(JSON.stringify(routes))
  return (await made).stdout
}

/** Does it for whoever asks first, and again after it failed. */
function kept<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((error) => {
      made = undefined
      throw error
    })
    return made
  }
}
