import type { FastifyServerOptions } from 'fastify'
import type { TSchema } from 'typebox'
import { allInvalid } from '../problem.ts'
import { checker } from '../validation.ts'

/**
 * What schemas are for: what comes in is held against them by our own checker, each compiled when the first request needs
 * it. What goes out is made by views that know what they say, and tests hold each answer against its schema. Fastify
 * loads its own compilers, and compiles every schema at the start, unless it is given both here.
 */
export const schemaController = {
  compilersFactory: {
    buildValidator: () => validatorOf,
    buildSerializer: () => () => JSON.stringify,
  },
} as unknown as NonNullable<FastifyServerOptions['schemaController']>

function validatorOf({ schema }: { schema: TSchema }) {
  const check = checker(schema)
  return (value: unknown) => {
    const mistakes = check(value)
    return mistakes.length > 0 ? { error: allInvalid(mistakes) } : { value }
  }
}
