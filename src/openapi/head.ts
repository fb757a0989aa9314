import own from '../../package.json' with { type: 'json' }
import { SECURITY } from './security.ts'

/** What stands at the top of the document. What Curfew itself sends stands under `webhooks`: see webhooks.ts. */
export const HEAD = {
  openapi: '3.1.0',
  info: {
    title: 'Curfew',
    version: own.version,
    description:
      'Ends Digital Samba video sessions: durable, retried, logged. An *ending* is an instruction: end this target, at this time, for this reason. Times are RFC 3339 with an offset or Z; those in answers are UTC with milliseconds. Every mistake is answered as `application/problem+json` (RFC 9457); what is not in its schema is refused, and nothing is coerced. A method that a path does not have is answered 405 (`method-not-allowed`), a path that is not there 404 (`not-found`).',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  components: { securitySchemes: SECURITY },
  servers: [{ url: '/', description: 'Where this document came from' }],
  tags: [
    { name: 'endings', description: 'Asking for ends, moving them, taking them back' },
    { name: 'events', description: 'What happened elsewhere, translated into endings' },
    { name: 'rules', description: 'How long sessions may last, and rooms that are kept closed' },
    { name: 'sessions', description: 'What is live, and why it ends' },
    { name: 'notifications', description: 'What callers are told of their endings' },
    { name: 'service', description: 'How the service is' },
  ],
}
