import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import { Writer } from '../openapi/document.ts'
import { HEAD } from '../openapi/head.ts'
import type { ListedRoute } from './route-list.ts'

/**
 * OpenAPI 3.1 of the routes. They are registered once more on an instance that only describes them: it answers nothing
 * and compiles nothing, and is gone afterwards.
 * @throws where a route or one of its fields is not described
 */
export async function documentOf(routes: readonly ListedRoute[]): Promise<Record<string, unknown>> {
  const writer = new Writer()
  const describing = Fastify({ exposeHeadRoutes: false })
  describing.setValidatorCompiler(() => () => true)
  describing.setSerializerCompiler(() => JSON.stringify)
  for (const shape of writer.shapes()) describing.addSchema(shape)
  await describing.register(swagger, {
    openapi: HEAD,
    convertConstToEnum: false,
    refResolver: { buildLocalReference: ({ $id }) => String($id) },
    transform: ({ schema, url, route }) => ({
      schema: writer.operation(`${route.method} ${url}`, schema),
      url,
    }),
    transformObject: (made) => writer.finish('openapiObject' in made ? { ...made.openapiObject } : {}),
  })
  for (const { method, url, schema } of routes)
    describing.route({ method, url, schema, handler: () => undefined })
  await describing.ready()
  try {
    return { ...describing.swagger() }
  } finally {
    await describing.close()
  }
}
