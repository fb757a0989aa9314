import rateLimit from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Clock } from '../clock.ts'
import { Problem } from '../problem.ts'
import { countersBy, forgetOldest } from './counters.ts'

const { normalizeIP } = rateLimit
const WINDOW_MS = 60_000
// Somebody who mistypes a key, or a caller with an old one, tries less often; who guesses, more often.
const MOST_FAILURES = 60
// Of addresses that are remembered at a time; some 200 bytes each.
const MOST_ADDRESSES = 10_000

/** What somebody has proved itself with: the SHA-256 of a key or secret, or a signature of whatever secret. */
type Proof = Buffer | 'signature'

interface Bounds {
  /** Counts a request of a caller that is known. @throws Problem where it is one too many */
  count(request: FastifyRequest): Promise<void>
  /** Counts one of Digital Samba's webhooks. @throws Problem where it is one too many */
  countWebhook(request: FastifyRequest): Promise<void>
  /**
   * Whether this address may try at all: one that has failed too often may only with what was right there before.
   * @throws Problem
   */
  mayTry(request: FastifyRequest, isRight: (proof: Proof) => boolean): void
  /** Counts a failure; what it is to be answered with, which is `problem` unless there have been too many. */
  failed(request: FastifyRequest, problem: Problem): Promise<Problem>
  /** Remembers that this was right, coming from this address. */
  proved(request: FastifyRequest, proof: Proof): void
}

declare module 'fastify' {
  interface FastifyInstance {
    bounds: Bounds
  }
}

interface BoundsOptions {
  requestsPerMinute: number
  clock: Clock
}

/** How often one caller may ask, and how often one address may be wrong about who it is. Counted by each process. */
export default fp<BoundsOptions>(async function bounds(app, { requestsPerMinute, clock }) {
  await app.register(rateLimit, { global: false, store: countersBy(clock, MOST_ADDRESSES) })
  const each = { timeWindow: WINDOW_MS, max: requestsPerMinute }
  const ofCaller = app.createRateLimit({ ...each, keyGenerator: ({ caller }) => caller.name })
  const ofWebhooks = app.createRateLimit({ ...each, keyGenerator: () => 'digital-samba' })
  const ofFailures = app.createRateLimit({
    timeWindow: WINDOW_MS,
    max: MOST_FAILURES,
    keyGenerator: ({ ip }) => normalizeIP(ip),
  })
  const callers = new Slowed(clock)
  const addresses = new Slowed(clock)
  const proven = new Map<string, Set<Proof>>()

  async function bounded(request: FastifyRequest, limit: typeof ofCaller, name: string): Promise<void> {
    const count = await limit(request)
    if (count.isAllowed || !count.isExceeded) return
    if (callers.slow(name, count.ttl)) request.log.warn({ caller: name, most: count.max }, 'caller.slowed')
    throw tooMany(`${name} may make ${count.max} requests a minute`, count.ttl)
  }

  app.decorate('bounds', {
    count: (request) => bounded(request, ofCaller, request.caller.name),
    countWebhook: (request) => bounded(request, ofWebhooks, 'digital-samba'),
    mayTry(request, isRight) {
      // Nearly always: nobody guesses.
      if (addresses.isEmpty) return
      const left = addresses.left(normalizeIP(request.ip))
      if (left === undefined || [...(proven.get(request.ip) ?? [])].some(isRight)) return
      throw tooManyFailures(left)
    },
    async failed(request, problem) {
      const count = await ofFailures(request)
      if (count.isAllowed || !count.isExceeded) return problem
      if (addresses.slow(count.key, count.ttl)) request.log.warn({ address: count.key }, 'address.slowed')
      return tooManyFailures(count.ttl)
    },
    proved({ ip }, proof) {
      const known = proven.get(ip)
      if (known) return void known.add(proof)
      if (proven.size >= MOST_ADDRESSES) forgetOldest(proven)
      proven.set(ip, new Set([proof]))
    },
  } satisfies Bounds)
})

/** Who has to wait, and until when (epoch ms). */
class Slowed {
  readonly #clock: Clock
  readonly #until = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isEmpty(): boolean {
    return this.#until.size === 0
  }

  /** How long it has to wait (ms); undefined where it has not. */
  left(name: string): number | undefined {
    const left = (this.#until.get(name) ?? 0) - this.#clock.now()
    // A clock that was set back keeps nobody out for longer than a window.
    if (left > 0 && left <= WINDOW_MS) return left
    this.#until.delete(name)
    return undefined
  }

  /** Whether that is new. */
  slow(name: string, ms: number): boolean {
    if (this.left(name) !== undefined) return false
    if (this.#until.size >= MOST_ADDRESSES) forgetOldest(this.#until)
    this.#until.set(name, this.#clock.now() + ms)
    return true
  }
}

function tooManyFailures(ms: number): Problem {
  return tooMany('too many wrong or missing keys, or signatures, have come from this address', ms)
}

function tooMany(what: string, ms: number): Problem {
  const seconds = Math.max(1, Math.ceil(ms / 1000))
  return new Problem('too-many-requests', `${what}; ask again in ${seconds} s`, {
    headers: { 'retry-after': String(seconds) },
  })
}
