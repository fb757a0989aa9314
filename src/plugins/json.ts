import fp from 'fastify-plugin'
import { outline } from '../json.ts'

/**
 * JSON and nothing else. An empty body with a JSON type is no body, which is what curl and many clients send; text,
 * which Fastify would take and hand on as a string, is a wrong content type.
 */
export default fp(async function json(app) {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const text = body as Buffer
    if (text.length === 0) return done(null, undefined)
    outline(text)
    parse(request, text.toString(), done)
  })
})
