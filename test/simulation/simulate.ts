import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import type { Engine } from '../../src/storage/schema.ts'
import { seeded } from '../helper/crash.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { query } from '../helper/postgres.ts'
import { environment } from '../helper/service.ts'
import { MINUTE_MS } from './asked.ts'
import { holdsAsAsked, liftHold, whyAsAsked } from './checks.ts'
import { Judge } from './judge.ts'
import { askForEnd, change, changeLimit, meddle, removeRule, setRule } from './owners.ts'
import { enter, goHome, leave } from './people.ts'
import { start, WEBHOOK_SECRET } from './running.ts'
import { Senders } from './senders.ts'
import { Stage } from './stage.ts'
import { readLedger, Verdict } from './verdict.ts'
import { WARN_MS, Warned } from './warned.ts'
import { Weather } from './weather.ts'
import { Webhooks } from './webhooks.ts'

const HOUR_MS = 3_600_000
const BEGIN = Date.parse('2026-11-23T06:00:00Z')
// How often something happens in an hour: in a room, and to everything.
const DONE_PER_ROOM = 10
const DONE_PER_CROWDED_ROOM = 90
const DEATHS_AND_STORMS = 4
// When nothing goes wrong any more, whatever is still owed is done within this.
const CALM_MS = 10 * 60_000

/** What goes on: days as they are, or callers who crowd into a few rooms while calls are held up now and then. */
type Plot = 'days' | 'crowd'

export interface Simulation {
  plot?: Plot
  engine: Engine
  databaseUrl: string
  rooms: number
  hours: number
  seed: number
}

export interface Report {
  rooms: number
  hours: number
  /** changes that callers asked for, each of which left alone what others are owed */
  steps: number
  sessions: number
  endCalls: number
  warnings: number
  /** warnings that had to be sent: whatever else happened, nothing was in their way */
  owedWarnings: number
  /** how late (ms) sessions were over that nothing disturbed */
  onTime: { sessions: number; latest: number }
  counts: Record<string, number>
  seconds: number
  /** what is wrong, each with its story */
  faults: string[]
}

export async function simulate({
  plot = 'days',
  engine,
  databaseUrl,
  rooms,
  hours,
  seed,
}: Simulation): Promise<Report> {
  const began = performance.now()
  const clock = new ManualClock(BEGIN)
  const sandbox = await startSandbox({ clock })
  const stage = new Stage(clock, sandbox, createRooms(sandbox, rooms), seeded(seed))
  const env = environment(sandbox, databaseUrl, ENVIRONMENT)
  if (engine === 'postgres') await tellNoTime(databaseUrl)
  const weather = new Weather(stage, engine, () => start(env, clock, (line) => stage.trouble(line)))
  const judge = new Judge(stage)
  const warned = new Warned(stage)
  const webhooks = new Webhooks(stage, (session) => judge.over(session))
  sandbox.onCall(() => webhooks.look())
  const look = () => {
    webhooks.look()
    judge.look()
    warned.look()
  }
  await weather.comeUp()
  live(stage, weather, hours, plot)
  await stage.play(endAfter(hours), look)
  await weather.clear()
  stage.isCalm = true
  await stage.play(clock.now() + CALM_MS, look)
  await holdsAsAsked(stage)
  const { curfew } = stage
  if (!curfew) throw new Error('Curfew is up at the end')
  const rows = await readLedger(curfew.app.database.db)
  const verdict = new Verdict(stage, rows, weather.deaths)
  for (const room of judge.touched()) stage.faults.push(`nobody asked for anything in ${room.friendlyUrl}`)
  await curfew.close()
  await sandbox.close()
  const calls = sandbox.calls.filter(({ operation }) => operation === 'end')
  const found = [
    ...judge.faults,
    ...warned.faults,
    ...verdict.faults,
    ...stage.faults.map((what) => ({ what, session: undefined })),
  ]
  return {
    rooms,
    hours,
    steps: stage.steps,
    sessions: sandbox.sessions.length,
    endCalls: calls.length,
    warnings: rows.warnings.filter(({ result }) => result === 'sent').length,
    owedWarnings: warned.owed,
    onTime: { sessions: judge.lateness.length, latest: Math.max(...judge.lateness, 0) },
    counts: stage.counts,
    seconds: Math.round((performance.now() - began) / 100) / 10,
    faults: found.map(({ what, session }) => [what, ...(session ? verdict.story(session) : [])].join('\n')),
  }
}

const ENVIRONMENT = {
  SHUTDOWN_GRACE: '0s',
  DIGITAL_SAMBA_WEBHOOK_SECRET: WEBHOOK_SECRET,
  WARN_MINUTES: String(WARN_MS / MINUTE_MS),
}

function createRooms(sandbox: Sandbox, count: number) {
  return Array.from({ length: count }, (_, i) =>
    sandbox.createRoom({ friendlyUrl: `room-${i}`, externalId: `äußerlich ${i}/x` }),
  )
}

/** On PostgreSQL a Curfew goes by the server's time. One that says nothing is believed to have ours. */
export async function tellNoTime(databaseUrl: string): Promise<void> {
  const name = new URL(databaseUrl).pathname.slice(1)
  await query(
    databaseUrl,
    `create function public.clock_timestamp() returns timestamptz language sql as 'select null::timestamptz';
     alter database ${name} set search_path = public, pg_catalog`,
  )
}

// A clock tells whole milliseconds.
const endAfter = (hours: number) => Math.round(BEGIN + hours * HOUR_MS)

type Deed = [weight: number, act: () => unknown]

const people = (stage: Stage): Deed[] => [
  [30, () => enter(stage)],
  [10, () => leave(stage)],
  [4, () => goHome(stage)],
]

function callers(stage: Stage): Deed[] {
  const senders = new Senders(stage)
  return [
    [8, () => setRule(stage)],
    [4, () => removeRule(stage)],
    [6, () => askForEnd(stage)],
    [6, () => change(stage)],
    [6, () => changeLimit(stage)],
    [2, () => meddle(stage)],
    [7, () => senders.schedule()],
    [4, () => senders.reschedule()],
    [5, () => senders.cancel()],
    [1, () => senders.suspend()],
    [1, () => senders.resume()],
    [2, () => liftHold(stage)],
    [1, () => holdsAsAsked(stage)],
    [3, () => whyAsAsked(stage)],
  ]
}

/** Everything that goes on, again and again at random moments. */
function live(stage: Stage, weather: Weather, hours: number, plot: Plot): void {
  const isCrowd = plot === 'crowd'
  const asking = callers(stage).map(([weight, act]): Deed => [isCrowd ? weight * 4 : weight, act])
  const bag = [...people(stage), ...asking].flatMap(([weight, act]) => Array(weight).fill(act))
  const perRoom = isCrowd ? DONE_PER_CROWDED_ROOM : DONE_PER_ROOM
  again(stage, HOUR_MS / (stage.rooms.length * perRoom), hours, () => stage.pick(bag)?.())
  again(stage, HOUR_MS / DEATHS_AND_STORMS, hours, () => {
    if (isCrowd) return weather.storm('held up')
    return stage.chance(0.45) ? weather.die() : weather.storm()
  })
}

function again(stage: Stage, everyMs: number, hours: number, act: () => unknown): void {
  const end = endAfter(hours)
  const next = () => {
    // At random, and never twice at the same millisecond.
    stage.later(Math.ceil(-Math.log(1 - stage.random()) * everyMs) + 1, async () => {
      if (stage.now >= end) return
      await act()
      next()
    })
  }
  next()
}
