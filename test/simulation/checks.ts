import type { Session } from '../../src/sandbox/sandbox.ts'
import { SWEEP_MS } from './asked.ts'
import { expect, party, targetOf } from './owners.ts'
import { type Stage, time } from './stage.ts'

/** What Curfew says of itself, held against what it has been asked. */

interface HoldView {
  id: string
  target: object
  holdFrom: string
  holdUntil: string | null
  requestedBy: string
}

async function listHolds(stage: Stage): Promise<HoldView[] | undefined> {
  const holds: HoldView[] = []
  for (let cursor = ''; ; ) {
    const answer = await stage.ask('GET', `/v1/holds?limit=200${cursor}`, 'ops')
    if (answer?.status !== 200) return undefined
    holds.push(...answer.body.data)
    if (answer.body.nextCursor === null) return holds
    cursor = `&cursor=${answer.body.nextCursor}`
  }
}

const saying = (target: object, from: number, until: number | null, by: string) =>
  `${JSON.stringify(target)} ${time(from)} ${time(until)} ${by}`

/** The rooms that are kept closed are those that somebody wanted closed. */
export async function holdsAsAsked(stage: Stage): Promise<void> {
  const found = await listHolds(stage)
  if (!found) return
  const told = found.map(({ target, holdFrom, holdUntil, requestedBy }) =>
    saying(target, Date.parse(holdFrom), holdUntil === null ? null : Date.parse(holdUntil), requestedBy),
  )
  const asked = stage.asked
    .currentHolds(stage.now)
    .map(({ room, from, until, by }) => saying(targetOf(room), from, until, by))
  const missing = asked.filter((one) => !told.includes(one))
  const tooMany = told.filter((one) => !asked.includes(one))
  if (missing.length > 0 || tooMany.length > 0 || asked.length !== told.length)
    stage.faults.push(`holds at ${time(stage.now)}: missing ${missing}; not asked for ${tooMany}`)
}

export async function liftHold(stage: Stage): Promise<void> {
  const hold = stage.pick((await listHolds(stage)) ?? [])
  if (!hold) return
  const by = stage.chance(0.2) ? 'ops' : party(stage)
  const answer = await stage.ask('DELETE', `/v1/holds/${hold.id}`, by)
  if (!answer) return
  const may = by === 'ops' || by === hold.requestedBy
  expect(stage, answer.status, may ? [200] : [403], `${by} lifts the hold ${hold.id} of ${hold.requestedBy}`)
  if (!may) return
  const said = `${JSON.stringify(hold.target)} ${hold.holdFrom} ${hold.holdUntil}`
  let lifted: string | undefined
  stage.asked.lift(({ room, from, until, by: owner }) => {
    const isThat =
      !lifted &&
      owner === hold.requestedBy &&
      JSON.stringify(targetOf(room)) === JSON.stringify(hold.target) &&
      from === Date.parse(hold.holdFrom) &&
      until === (hold.holdUntil === null ? null : Date.parse(hold.holdUntil))
    if (isThat) lifted = room
    return isThat
  }, stage.now)
  stage.note(stage.roomOf(lifted ?? ''), `${by} lifts the hold ${said}`)
}

/** What is said to be in force for a session is the earliest thing that asks for its end. */
export async function whyAsAsked(stage: Stage): Promise<void> {
  const session = stage.pick(stage.live())
  if (!session || !isSettled(stage, session)) return
  const causes = stage.asked.causes(session, stage.now).filter(({ owedAt }) => Number.isFinite(owedAt))
  // A hold's ending is made when the session is observed, and is due then.
  if (causes.some(({ why, dueAt }) => why.startsWith('hold') || dueAt <= stage.now)) return
  const earliest = causes.length === 0 ? null : Math.min(...causes.map(({ dueAt }) => dueAt))
  const answer = await stage.ask('GET', `/v1/sessions/${session.id}`, 'ops')
  if (answer?.status !== 200 || !session.live) return
  const { inForce, live } = answer.body
  stage.count('why')
  const told = inForce === null ? null : Date.parse(inForce.dueAt)
  if (told !== earliest && live !== null)
    stage.faults.push(
      `session ${session.id} at ${time(stage.now)}: said to end ${time(told)}, asked ${time(earliest)}`,
    )
}

/** It has been observed, as far as that can be told, and nothing is in the way. */
function isSettled(stage: Stage, session: Session): boolean {
  const { now } = stage
  const isDisturbed = stage.disturbances.some(({ to, recoveryMs }) => to + recoveryMs > now - SWEEP_MS)
  if (isDisturbed || session.startTime > now - 2 * SWEEP_MS) return false
  return stage.asked.changedAt(session.room) < now - 2 * SWEEP_MS
}
