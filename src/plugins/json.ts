import fp from 'fastify-plugin'
import { outline } from '../json.ts'
import { invalid } from '../problem.ts'

// Metadata of 4 KiB hold 3000 at most; what has far more is nonsense, and takes many times its size once it is parsed.
const MOST_VALUES = 5000

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
    if (outline(text).values > MOST_VALUES) throw invalid('', `must hold at most ${MOST_VALUES} values`)
    parse(request, text.toString(), done)
  })
})
