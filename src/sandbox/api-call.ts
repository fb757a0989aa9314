import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { type Answer, send, tooManyAttempts, unauthenticated } from './answers.ts'
import { isAuthentic } from './authentication.ts'
import type { Call, Operation } from './calls.ts'
import { faultStatus, sendFault } from './fault-answers.ts'
import type { Fault } from './faults.ts'
import type { State } from './state.ts'

export interface ApiRequest {
  params: Record<string, string>
  query: Record<string, unknown>
  /** Empty where there was none or it was not a JSON object. */
  body: Record<string, unknown>
}

export type OperationHandler = (request: ApiRequest) => Answer

export type AddOperation = (
  method: string,
  url: string,
  operation: Operation,
  handle: OperationHandler,
) => void

/** One call of the API, in the order the vendor looks at it: who, how many, then what; and what goes wrong. */
export function apiCall(state: State, operation: Operation, handle: OperationHandler): RouteHandlerMethod {
  return (request, reply) => {
    const call = describe(state, operation, request)
    const refusal = refuse(state, request, call)
    const fault = refusal ? undefined : state.faults.take(call, roomNames(state, call))
    const carryOut = () => handle(toApiRequest(request))
    if (fault) return goWrong(state, call, fault, carryOut, reply)
    const answer = refusal ?? carryOut()
    state.calls.record(call, answer.status)
    return send(reply, answer)
  }
}

function refuse({ settings, rateLimit }: State, request: FastifyRequest, call: Call): Answer | undefined {
  if (!isAuthentic(request.headers.authorization, settings)) return unauthenticated()
  const retryAt = rateLimit.take(call.at, settings.callsPerMinute)
  return retryAt === undefined ? undefined : tooManyAttempts(call.at, retryAt, settings.retryAfterAs)
}

async function goWrong(
  state: State,
  call: Call,
  fault: Fault,
  carryOut: () => Answer,
  reply: FastifyReply,
): Promise<FastifyReply> {
  let real = fault.carryOut ? carryOut() : undefined
  if (fault.delayMs) {
    state.calls.record(call, 0)
    await state.clock.sleep(fault.delayMs, state.closing)
    if (state.closing.aborted) return reply.hijack()
  }
  // A server that is merely slow does its work in the end.
  if (fault.kind === 'delay' && fault.status === undefined) real ??= carryOut()
  state.calls.record(call, faultStatus(fault, real))
  return sendFault(reply, fault, real)
}

function describe({ clock }: State, operation: Operation, request: FastifyRequest): Call {
  const { session, room } = request.params as Record<string, string | undefined>
  const { traceparent } = request.headers
  return {
    at: clock.now(),
    method: request.method,
    path: request.url,
    operation,
    ...(session === undefined ? {} : { session }),
    ...(room === undefined ? {} : { room }),
    status: 0,
    ...(typeof traceparent === 'string' ? { headers: { traceparent } } : {}),
  }
}

function roomNames({ world }: State, call: Call): string[] {
  const room = call.room === undefined ? world.session(call.session ?? '')?.room : world.room(call.room)
  return [call.room ?? '', ...(room ? [room.id, room.friendlyUrl] : [])]
}

function toApiRequest({ params, query, body }: FastifyRequest): ApiRequest {
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body)
  return {
    params: params as Record<string, string>,
    query: query as Record<string, unknown>,
    body: isObject ? (body as Record<string, unknown>) : {},
  }
}
