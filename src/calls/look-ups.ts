import type { Clock } from '../clock.ts'
import type { OneSession } from '../digital-samba/answers.ts'
import type { CallContext, DigitalSamba } from '../digital-samba/client.ts'
import { AbortedCallError, NotFoundError } from '../digital-samba/errors.ts'
import type { CallGate } from './gate.ts'
import { RANK } from './permits.ts'

export interface LookUpsOptions {
  digitalSamba: DigitalSamba
  gate: CallGate
  clock: Clock
}

interface Remembered {
  at: number
  answer: Promise<unknown>
}

// Long enough that a page that is loaded again and again costs one call, short enough to be true.
const REMEMBERED_MS = 2000
const MOST_REMEMBERED = 1000
/** How long one look-up may take, the wait for the call budget included (ms). */
const LOOK_UP_MS = 3000

/** What people ask of Digital Samba: each answer serves whoever asks the same within some seconds. */
export class LookUps {
  readonly #options: LookUpsOptions
  readonly #remembered = new Map<string, Remembered>()

  constructor(options: LookUpsOptions) {
    this.#options = options
  }

  /** A session; undefined where Digital Samba knows none. Rejects with a DigitalSambaError or a CallsHeldError. */
  session(id: string, patienceMs = LOOK_UP_MS): Promise<OneSession | undefined> {
    const ask = () => this.#options.digitalSamba.session(id, this.#context()).catch(unknownIsUndefined)
    return inTime(this.#once(`session ${id}`, ask), patienceMs)
  }

  /** A page of what is live; see `DigitalSamba.livePage`. */
  livePage(after: string | undefined) {
    const ask = () => this.#options.digitalSamba.livePage(undefined, after, this.#context())
    return inTime(this.#once(`page ${after ?? ''}`, ask), LOOK_UP_MS)
  }

  /** Something has happened to a session, or to one that nobody can name: what was told before is not true any more. */
  forget(session?: string): void {
    if (session === undefined) this.#remembered.clear()
    else {
      this.#remembered.delete(`session ${session}`)
      for (const name of this.#remembered.keys()) if (name.startsWith('page ')) this.#remembered.delete(name)
    }
  }

  #once<T>(name: string, ask: () => Promise<T>): Promise<T> {
    const now = this.#options.clock.now()
    for (const [other, { at }] of this.#remembered) {
      if (Math.abs(now - at) < REMEMBERED_MS && this.#remembered.size < MOST_REMEMBERED) break
      this.#remembered.delete(other)
    }
    const known = this.#remembered.get(name)
    if (known) return known.answer as Promise<T>
    const remembered = { at: now, answer: ask() }
    this.#remembered.set(name, remembered)
    // What could not be answered is asked again.
    remembered.answer.catch(() => {
      if (this.#remembered.get(name) === remembered) this.#remembered.delete(name)
    })
    return remembered.answer
  }

  /** Calls for somebody who is waiting: before sweeps, behind endings, and not for long. */
  #context(): CallContext {
    return this.#options.gate.context(RANK.warning, AbortSignal.timeout(LOOK_UP_MS))
  }
}

function unknownIsUndefined(error: unknown): undefined {
  if (!(error instanceof NotFoundError)) throw error
}

function inTime<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AbortedCallError(`not answered within ${ms / 1000} s`)), ms)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
