import fp from 'fastify-plugin'

/**
 * JSON and nothing else. An empty body with a JSON type is no body, which is what curl and many clients send; text,
 * which Fastify would take and hand on as a string, is a wrong content type.
 */
export default fp(async function json(app) {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else parse(request, body as string, done)
  })
})
