import type { Room, Session } from '../../src/sandbox/sandbox.ts'
import { type AskedRule, type Limit, MINUTE_MS, namesOf, PARTIES, type Party } from './asked.ts'
import { type Stage, time } from './stage.ts'

/** Callers that set rules, ask for ends, give more minutes, take back and open rooms again; through the API. */

/** Rooms of which nobody ever asks anything. */
export const isLeftAlone = (stage: Stage, room: Room) => stage.rooms.indexOf(room) % 8 === 7

export const party = (stage: Stage) => stage.pick(PARTIES) as Party
export function busyRoom(stage: Stage): Room {
  const room = stage.pick(stage.rooms) as Room
  return isLeftAlone(stage, room) ? busyRoom(stage) : room
}
const anyName = (stage: Stage, room: Room) => stage.pick(namesOf(room)) as string
export const targetOf = (name: string) =>
  name.startsWith('external:') ? { roomExternalId: name.slice('external:'.length) } : { room: name }
export const iso = (at: number) => new Date(at).toISOString()
// A rule warns while its session lasts.
const warnMinutes = (stage: Stage, below = Number.POSITIVE_INFINITY) =>
  stage.chance(0.5) ? { warnMinutes: [10, 5, 1].filter((minutes) => minutes < below) } : {}

export async function setRule(stage: Stage, before?: AskedRule): Promise<void> {
  // Half of the time an owner changes what it has set: that moves what is live.
  const known = before ?? (stage.chance(0.5) ? stage.pick([...stage.asked.rules.values()]) : undefined)
  const room = (known && stage.roomOf(known.room)) ?? busyRoom(stage)
  const name = known?.room ?? anyName(stage, room)
  const by = known?.owner ?? party(stage)
  const maxMinutes = stage.chance(0.1) ? stage.between(1, 4) : stage.between(5, 90)
  // UUIDs are compared without regard to case.
  const spelled = stage.chance(0.3) && name === room.id ? name.toUpperCase() : name
  const url = `/v1/time-limits/${encodeURIComponent(spelled)}`
  const answer = await stage.ask('PUT', url, by, { maxMinutes, ...warnMinutes(stage, maxMinutes) })
  if (!answer) return
  const owner = stage.asked.rules.get(name)?.owner ?? by
  expect(
    stage,
    answer.status,
    owner === by ? [200, 201] : [403],
    `${by} sets the rule of ${owner} for ${name}`,
  )
  if (owner !== by) return
  stage.note(room, `${by} limits ${name} to ${maxMinutes} minutes`)
  stage.asked.rule(name, { room: name, owner, maxMinutes }, stage.now)
}

export async function removeRule(stage: Stage): Promise<void> {
  const rule = stage.pick([...stage.asked.rules.values()])
  if (!rule) return
  const by = stage.chance(0.2) ? 'ops' : party(stage)
  const answer = await stage.ask('DELETE', `/v1/time-limits/${encodeURIComponent(rule.room)}`, by)
  if (!answer) return
  const may = by === 'ops' || by === rule.owner
  expect(
    stage,
    answer.status,
    may ? [200] : [403],
    `${by} removes the rule of ${rule.owner} for ${rule.room}`,
  )
  if (!may) return
  const room = stage.roomOf(rule.room) as Room
  stage.note(room, `${by} removes the rule for ${rule.room}`)
  stage.asked.rule(rule.room, undefined, stage.now)
}

export async function askForEnd(stage: Stage): Promise<void> {
  const room = busyRoom(stage)
  const session = stage.chance(0.4) ? stage.live(room)[0] : undefined
  const name = anyName(stage, room)
  const by = party(stage)
  const dueAt = stage.now + (stage.chance(0.3) ? 0 : stage.between(1, 90 * 60) * 1000)
  const holdFrom = stage.chance(0.3) ? dueAt + stage.between(-600, 600) * 1000 : undefined
  const holdUntil = Math.max(holdFrom ?? dueAt, stage.now) + stage.between(60, 90 * 60) * 1000
  const isHeld = !session && stage.chance(0.4)
  const body = {
    target: session ? { session: session.id } : targetOf(name),
    ...(dueAt > stage.now || stage.chance(0.5) ? { dueAt: iso(dueAt) } : {}),
    ...warnMinutes(stage),
    ...(isHeld ? { holdUntil: iso(holdUntil), ...(holdFrom ? { holdFrom: iso(holdFrom) } : {}) } : {}),
  }
  const answer = await stage.ask('POST', '/v1/endings', by, body)
  if (answer?.status !== 202) return
  const { id } = answer.body
  stage.asked.ending({ id, by, of: session?.id ?? name, dueAt, askedAt: stage.now, isCancelled: false })
  stage.note(room, `${by} asks: ${id} ends ${session?.id ?? name} at ${time(dueAt)}`)
  if (!isHeld) return
  const hold = { room: name, by, from: holdFrom ?? dueAt, until: holdUntil, askedAt: stage.now, endingId: id }
  stage.asked.hold({ ...hold, subject: null, liftedAt: null })
  stage.note(room, `... and closes it from ${time(hold.from)} until ${time(holdUntil)}`)
}

/** "Ten more minutes", or it is taken back. */
export async function change(stage: Stage): Promise<void> {
  const { asked, now } = stage
  const coming = [...asked.endings.values()].filter(
    ({ dueAt, isCancelled }) => !isCancelled && dueAt > now - 5 * MINUTE_MS,
  )
  const ending = stage.pick(coming)
  if (!ending) return
  const by = stage.chance(0.15) ? 'ops' : ending.by
  if (stage.chance(0.35)) {
    const answer = await stage.ask('POST', `/v1/endings/${ending.id}/cancel`, by, {})
    if (answer?.status !== 200) return
    ending.isCancelled = true
    asked.lift(({ endingId }) => endingId === ending.id, stage.now)
    return stage.note(stage.roomOf(ending.of), `${by} cancels ${ending.id}`)
  }
  const extendMinutes = stage.between(1, 30)
  const answer = await stage.ask('PATCH', `/v1/endings/${ending.id}`, by, { extendMinutes })
  if (answer?.status !== 200) return
  ending.dueAt = Date.parse(answer.body.dueAt)
  stage.note(stage.roomOf(ending.of), `${by} gives ${ending.id} until ${time(ending.dueAt)}`)
  const held = (await stage.ask('GET', `/v1/endings/${ending.id}`, ending.by))?.body
  for (const hold of asked.currentHolds(stage.now))
    if (hold.endingId === ending.id) hold.from = Date.parse(held.holdFrom)
}

/** Somebody tries what only the owner or an operator may. */
export async function meddle(stage: Stage): Promise<void> {
  const { asked } = stage
  const by = party(stage)
  const ending = stage.pick([...asked.endings.values()].filter((other) => other.by !== by))
  const rule = stage.pick([...asked.rules.values()].filter(({ owner }) => owner !== by))
  const tries: Array<[method: string, url: string, body?: object]> = []
  if (ending)
    tries.push(
      ['PATCH', `/v1/endings/${ending.id}`, { extendMinutes: 10 }],
      ['POST', `/v1/endings/${ending.id}/cancel`, {}],
      ['POST', `/v1/endings/${ending.id}/retry`, {}],
    )
  const room = rule && `/v1/time-limits/${encodeURIComponent(rule.room)}`
  if (room) tries.push(['PUT', room, { maxMinutes: 1 }], ['DELETE', room])
  const [method, url, body] = stage.pick(tries) ?? []
  if (!method || !url) return
  const answer = await stage.ask(method, url, by, body)
  if (answer) expect(stage, answer.status, [403], `${by} tries ${method} ${url} of another`)
}

/** The same for what a rule has made; its answer is what the oracle expects of the rule. */
export async function changeLimit(stage: Stage): Promise<void> {
  const session = stage.pick(stage.live())
  const limit = session && stage.pick(stage.asked.limitsOf(session))
  if (!session || !limit) return
  const { rule } = limit
  const filter = `session=${session.id}&reason=time_limit&state=pending&requestedBy=${rule.owner}`
  const found = await stage.ask('GET', `/v1/endings?${filter}`, 'ops')
  const [ending] = found?.body.data ?? []
  if (!ending) return
  expectLimit(stage, session, ending, limit)
  const isTakenBack = stage.chance(0.15)
  const url = `/v1/endings/${ending.id}`
  const answer = isTakenBack
    ? await stage.ask('POST', `${url}/cancel`, rule.owner, {})
    : await stage.ask('PATCH', url, rule.owner, { extendMinutes: stage.between(1, 30) })
  if (answer?.status !== 200) return
  // Minutes that were given outlive a change of the rule.
  if (stage.chance(0.3)) stage.later(stage.between(1, 5 * MINUTE_MS), () => setRule(stage, rule))
  const dueAt = isTakenBack ? 'cancelled' : Date.parse(answer.body.dueAt)
  stage.asked.limitMoved(session, rule, dueAt)
  stage.note(
    session.room,
    `${rule.owner} moves the limit of ${session.id} to ${isTakenBack ? dueAt : answer.body.dueAt}`,
  )
}

function expectLimit(
  stage: Stage,
  session: Session,
  ending: { id: string; dueAt: string },
  { rule, dueAt }: Limit,
): void {
  if (Date.parse(ending.dueAt) !== dueAt)
    stage.faults.push(
      `session ${session.id}: its limit ${ending.id} is due ${ending.dueAt} for ${rule.owner}, where the rules say ${time(dueAt)}`,
    )
}

export function expect(stage: Stage, status: number, allowed: number[], what: string): void {
  if (!allowed.includes(status)) stage.faults.push(`${what}: answered ${status}`)
}
