import { Type } from 'typebox'
import type { Target } from '../ending.ts'
import type { AnyHandler, Event, Handler, Setting } from './handler.ts'
import { type TargetFields, targetFields, targetMistakes, targetOf } from './target.ts'

const Account = Type.String({
  minLength: 1,
  maxLength: 190,
  pattern: '^[^\\p{Cc}\\p{Cs}]+$',
  description: 'a string of 1 to 190 characters, the id of an account, none of them a control character',
})
const DAY_SECONDS = 24 * 3600

interface Suspension {
  account: string
  targets: TargetFields[]
  graceSeconds?: number
}

interface AccountState {
  account: string
  /** empty where the account is not suspended */
  targets: Target[]
  /** epoch ms */
  dueAt: number
  event: { source: string; id: string; type: string }
}

const subjectOf = ({ account }: { account: string }) => `account:${account}`

/** What an earlier suspension has left: endings that are still pending, and rooms that are kept closed. */
function takenBack(state: { account: string }) {
  const subject = subjectOf(state)
  return { withdraw: { subject }, lift: [{ subject }] }
}

/** The newest suspension of an account names everything that is suspended, and takes the place of an older one. */
const suspended: Handler<Suspension, AccountState> = {
  schema: (maxTargets) =>
    Type.Object(
      {
        account: Account,
        targets: Type.Array(
          Type.Object(targetFields, {
            additionalProperties: false,
            description: 'an object with one of sessionId, roomId and roomExternalId',
          }),
          { minItems: 1, maxItems: maxTargets, description: `a list of targets, from 1 to ${maxTargets}` },
        ),
        graceSeconds: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 90 * DAY_SECONDS,
            description: `a whole number of seconds from 0 to ${90 * DAY_SECONDS}`,
          }),
        ),
      },
      { additionalProperties: false, description: 'an object with account and targets' },
    ),
  mistakes: ({ targets }) => targets.flatMap((target, i) => targetMistakes(target, `/targets/${i}`)),
  targets: ({ targets }) => targets.length,
  subject: subjectOf,
  precedence: 1,
  learn: (before, event, newest, { now }) => (newest || !before ? suspension(event, now) : before),
  decide: (state, setting) => ({ ...takenBack(state), store: endings(state, setting) }),
  mattersUntil: ({ dueAt }) => dueAt,
}

const resumed: Handler<{ account: string }, AccountState> = {
  schema: Type.Object(
    { account: Account },
    { additionalProperties: false, description: 'an object with account' },
  ),
  targets: () => 0,
  subject: subjectOf,
  learn: (before, { source, id, type, data }, newest, { now }) =>
    newest || !before
      ? { account: data.account, targets: [], dueAt: now, event: { source, id, type } }
      : before,
  decide: (state) => ({ ...takenBack(state), store: [] }),
}

/** Accounts that do not pay, and pay again. */
export const billing: Record<string, AnyHandler> = {
  'billing.suspended': suspended,
  'billing.resumed': resumed,
}

// The grace began when the account was suspended, however long the event was on its way.
function suspension({ source, id, type, time, data }: Event<Suspension>, now: number): AccountState {
  const dueAt = Math.max((time ?? now) + (data.graceSeconds ?? 0) * 1000, now)
  const targets = data.targets.map((fields) => targetOf(fields) as Target)
  return { account: data.account, targets, dueAt, event: { source, id, type } }
}

function endings({ targets, dueAt, event, ...state }: AccountState, { sender }: Setting) {
  const common = { dueAt, reason: 'billing_suspended', requestedBy: sender, urgent: false }
  return targets.map((target) => ({
    ...common,
    target,
    key: null,
    subject: subjectOf(state),
    metadata: { event },
    // Until the account is resumed, its rooms stay closed.
    hold: target.session === undefined ? { from: dueAt, until: null } : undefined,
  }))
}
