import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, type TProperties, Type } from 'typebox'
import { Nullable, OneOf } from '../schema-helpers.ts'
import type { EndingRow } from '../storage/schema.ts'
import { closed } from './schemas.ts'

/** The query of a route whose effects can be tried out. */
export const DryRunQuery = closed({ dryRun: Type.Optional(OneOf(['true', 'false'])) })

const rehearsedFields = {
  dryRun: Type.Optional(Type.Literal(true)),
  wouldEnd: Type.Optional(Nullable(Type.Array(Type.String()))),
  wouldEndWhy: Type.Optional(Type.String()),
}
type Rehearsed = Static<ReturnType<typeof Type.Object<typeof rehearsedFields>>>

/** The schema of an answer, with what a rehearsal says beside it. */
export const orRehearsed = <T extends TProperties>({ properties }: { properties: T }) =>
  Type.Object({ ...properties, ...rehearsedFields })

export function isDryRun({ query }: FastifyRequest): boolean {
  return (query as Static<typeof DryRunQuery>).dryRun === 'true'
}

/** What a request is carried out on: the real ledger, or the one in which nothing stays. */
export function stores(request: FastifyRequest): Pick<FastifyInstance, 'ledger' | 'limits'> {
  return isDryRun(request) ? request.server.rehearsal : request.server
}

/** The answer as it would be, and which sessions would end now by what was made or changed. */
export async function rehearsed<T extends object>(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: T,
  changed: EndingRow[],
): Promise<T & Rehearsed> {
  // Of one that was changed several times, what it is in the end.
  const last = new Map(changed.map((ending) => [ending.id, ending]))
  const { sessions, why } = await request.server.rehearsal.foresee([...last.values()])
  reply.status(200)
  return { ...answer, dryRun: true, wouldEnd: sessions, ...(why === undefined ? {} : { wouldEndWhy: why }) }
}
