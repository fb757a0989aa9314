import type { FastifyRequest } from 'fastify'

/** No body at all is fine where every field is optional; Fastify would check it as if it were null. */
export async function absentIsEmpty(request: FastifyRequest): Promise<void> {
  if (request.body === undefined) request.body = {}
}
