import type { FastifyInstance } from 'fastify'

/** Reads every body as JSON whatever its type, and none as undefined: `curl -d` sends a form's type. */
export function acceptAnyBody(app: FastifyInstance, onBadJson: (error: Error) => unknown): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, async (_request: unknown, text: string | Buffer) => {
    if (text === '') return undefined
    try {
      return JSON.parse(String(text))
    } catch (error) {
      return onBadJson(error as Error)
    }
  })
}
