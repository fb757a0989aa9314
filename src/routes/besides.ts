import type { FastifyRequest } from 'fastify'

/**
 * Reads what else there is to say in an answer whose work is done and committed: where that cannot be read, it is left
 * out. An error in its place would make the caller do it again.
 */
export async function besides<T>(
  { log }: FastifyRequest,
  read: () => Promise<T | undefined>,
): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    log.warn({ err: error }, 'answer.incomplete')
    return undefined
  }
}
