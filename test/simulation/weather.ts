import type { Call, Fault } from '../../src/sandbox/sandbox.ts'
import type { Engine } from '../../src/storage/schema.ts'
import { MINUTE_MS, SWEEP_MS } from './asked.ts'
import { during, type Running } from './running.ts'
import type { Disturbance, Stage } from './stage.ts'

const DEVELOPER_KEY = 'sandbox-developer-key'
// The longest pause between two attempts is a minute, give or take a fifth.
const RETRY_MS = 75_000
// An end that was answered with 2xx and not done is looked at after a minute, and then done again.
const NOT_DONE_MS = 75_000 + RETRY_MS
// So often is an end done again; whoever says once more that it is done is believed.
const NOT_DONE_MOST = 3
// On PostgreSQL nobody clears what the dead one had claimed: it is free when its lease has run out.
const TAKE_OVER_MS = { sqlite: SWEEP_MS, postgres: 155_000 + SWEEP_MS }

const WAIT_AFTER = 5

/** What goes wrong: Curfew dies and comes back, Digital Samba fails, limits and lies. Remembers what that explains. */
export class Weather {
  readonly #stage: Stage
  readonly #start: () => Promise<Running>
  readonly #engine: Engine
  readonly deaths: number[] = []
  #down: Disturbance | undefined
  #kill: 'at the next call' | undefined
  #failedInRow = 0

  constructor(stage: Stage, engine: Engine, start: () => Promise<Running>) {
    this.#stage = stage
    this.#engine = engine
    this.#start = start
    stage.sandbox.onCall((call) => this.#onCall(call))
  }

  /** Curfew dies: now, or while a call is on its way. */
  async die(): Promise<void> {
    const stage = this.#stage
    if (!stage.curfew) return
    if (stage.chance(0.6)) this.#kill = 'at the next call'
    else await this.#goDown(stage.chance(0.7))
  }

  /** For some minutes: anything that goes wrong, or only what holds calls up. */
  storm(kinds: 'all' | 'held up' = 'all'): void {
    const stage = this.#stage
    const { sandbox } = stage
    const ms = stage.between(20_000, 8 * MINUTE_MS)
    const over = () => {
      sandbox.clearFaults()
      sandbox.configure({ callsPerMinute: 1000 })
      sandbox.setCredentials({ developerKey: DEVELOPER_KEY })
      stage.note(undefined, 'Digital Samba works again')
    }
    const [what, begin] = stage.pick(kinds === 'all' ? this.#storms() : this.#holdUps()) as [
      string,
      () => void,
    ]
    stage.count(what)
    stage.note(undefined, `${what} for up to ${ms / 1000} s`)
    begin()
    stage.later(ms, over)
  }

  #storms(): Array<[string, () => void]> {
    const { sandbox } = this.#stage
    const fault = (more: Partial<Fault>) => () => sandbox.inject({ kind: 'status', ...more })
    const always = Number.POSITIVE_INFINITY
    const few = this.#stage.between(1, 4)
    return [
      ['500', fault({ status: 500, times: always })],
      ['500 for end calls', fault({ status: 500, times: always, operation: 'end' })],
      ['500 for lists', fault({ status: 500, times: always, operation: 'sessions' })],
      ['500 for chats', fault({ status: 500, times: always, operation: 'chat' })],
      ['500 after the end was done', fault({ status: 500, times: few, operation: 'end', carryOut: true })],
      ['404 for chats', fault({ status: 404, times: always, operation: 'chat' })],
      ['503', fault({ status: 503, times: few })],
      ['503 for end calls', fault({ status: 503, times: few, operation: 'end' })],
      ['broken connections', fault({ kind: 'reset', times: few })],
      ...this.#holdUps(),
      [
        'ends that are not done',
        fault({ status: 204, times: Math.min(few, NOT_DONE_MOST), operation: 'end' }),
      ],
    ]
  }

  #holdUps(): Array<[string, () => void]> {
    const { sandbox } = this.#stage
    const headers = { 'retry-after': '45' }
    return [
      ['a 429', () => sandbox.inject({ kind: 'status', status: 429, headers })],
      ['few calls a minute', () => sandbox.configure({ callsPerMinute: 3 })],
      ['refused credentials', () => sandbox.setCredentials({ developerKey: 'rotated' })],
    ]
  }

  /** All is well again. */
  async clear(): Promise<void> {
    this.#kill = undefined
    this.#stage.sandbox.clearFaults()
    this.#stage.sandbox.configure({ callsPerMinute: 1000 })
    this.#stage.sandbox.setCredentials({ developerKey: DEVELOPER_KEY })
    if (!this.#stage.curfew) await this.comeUp()
  }

  async comeUp(): Promise<void> {
    const stage = this.#stage
    if (stage.curfew) return
    if (this.#down) this.#down.to = stage.now
    stage.note(undefined, 'Curfew starts')
    stage.curfew = await this.#start()
  }

  #goDown(isAbrupt: boolean): Promise<void> {
    const stage = this.#stage
    const { curfew } = stage
    if (!curfew) return Promise.resolve()
    this.#kill = undefined
    stage.curfew = undefined
    stage.count(isAbrupt ? 'killed' : 'stopped')
    stage.note(undefined, `Curfew is ${isAbrupt ? 'killed' : 'stopped'}`)
    this.deaths.push(stage.now)
    const recoveryMs = TAKE_OVER_MS[this.#engine]
    this.#down = { what: 'down', from: stage.now, to: Number.POSITIVE_INFINITY, recoveryMs }
    stage.disturbances.push(this.#down)
    stage.later(stage.chance(0.4) ? 0 : stage.between(1000, 8 * MINUTE_MS), () => this.comeUp())
    return during(isAbrupt ? curfew.kill() : curfew.close())
  }

  #onCall(call: Call): void {
    const { at, status, operation, session, room } = call
    const hasFailed = status === 0 || status >= 500
    this.#failedInRow = hasFailed ? this.#failedInRow + 1 : 0
    // From then on one call a second asks, ends that are due go first, and whatever else there is has to wait.
    if (this.#failedInRow >= WAIT_AFTER)
      this.#explains({ what: 'calls wait', from: at, to: at + 2000, recoveryMs: SWEEP_MS })
    // Not while somebody is asked: whether that was stored would be anybody's guess.
    if (this.#kill && !this.#stage.isAsking) void this.#goDown(true)
    const what = `${operation} answered ${status}`
    // One call a minute asks whether they work again.
    if (status === 401) this.#explains({ what, from: at, to: at + MINUTE_MS, recoveryMs: 2 * SWEEP_MS })
    else if (status === 429) this.#explains({ what, from: at, to: at + MINUTE_MS, recoveryMs: SWEEP_MS })
    else if (operation === 'chat') return
    else if (hasFailed) this.#explains({ what, from: at, to: at, recoveryMs: RETRY_MS, session, room })
    else if (operation === 'end' && status < 300 && this.#stage.sandbox.session(session as string)?.live)
      this.#explains({ what: 'not done', from: at, to: at, recoveryMs: NOT_DONE_MS, session })
  }

  #explains(disturbance: Disturbance): void {
    this.#stage.disturbances.push(disturbance)
  }
}
