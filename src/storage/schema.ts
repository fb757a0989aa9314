import type { Kysely, Selectable, Transaction } from 'kysely'
import type { Failure, Outcome, Result, State, TargetKind } from '../ending.ts'

/** Times are epoch milliseconds; `urgent` is 0 or 1 because SQLite has no booleans; metadata is JSON text. */
export interface EndingsTable {
  id: string
  state: State
  target_kind: TargetKind
  target_id: string
  reason: string
  requested_by: string
  key: string | null
  subject: string | null
  urgent: number
  due_at: number
  /** When to look at it next: at first `due_at`, later the next attempt. Never before `due_at`. */
  next_attempt_at: number
  /** Judged results that count; 401, 429, a shutdown and a crash do not. */
  attempt: number
  /** Only rises; whoever reports a retry or a failure must name the claim it holds. */
  claim: number
  claimed_until: number | null
  /** RETRY_FOR is counted from here: the first judged result of this run of attempts. Null before it. */
  retry_since: number | null
  /** What `attempt` was when this run of attempts began, so that an operator's retry starts at a short backoff. */
  retry_base: number
  outcome: Outcome | null
  failure: Failure | null
  created_at: number
  finished_at: number | null
  /** When its session, or the last of its sessions, was seen not to be live. */
  confirmed_at: number | null
  metadata: string
  /** When to look whether its session is really over; null where that is known or cannot be. */
  confirm_at: number | null
  /** How often it became pending again because its session was seen live after its end. */
  reopened: number
}

/** One row for each end call, whoever made it and whatever became of its ending. */
export interface AttemptsTable {
  id: string
  ending_id: string
  attempt: number
  session: string
  started_at: number
  duration_ms: number
  status: number | null
  result: Result
  error: string | null
  /** When its session was seen not to be live. */
  confirmed_at: number | null
}

export interface IdempotencyKeysTable {
  caller: string
  key: string
  fingerprint: string
  ending_id: string
  created_at: number
}

/** What holds for every call to Digital Samba and must survive a restart. */
export interface ControlTable {
  name: 'pause' | 'refusal'
  since: number
  until: number
  why: string
}

/** One row for each event that had an effect or came too late for one: a repeat is answered from it. */
export interface EventsTable {
  sender: string
  source: string
  id: string
  type: string
  status: 'accepted' | 'stale'
  /** ids, as JSON */
  endings: string
  received_at: number
}

/** The newest event of each subject of a sender, and what its events have told so far. */
export interface SubjectsTable {
  sender: string
  subject: string
  time: number
  /** Of two events of the same time the one with the higher precedence wins. */
  precedence: number
  /** 1 where the event said its time, 0 where its arrival counts. */
  timed: number
  /** JSON; only the events' own family knows what is in it */
  memory: string
  /** It may be forgotten when this is long past. */
  matters_until: number
}

export interface Tables {
  endings: EndingsTable
  events: EventsTable
  subjects: SubjectsTable
  attempts: AttemptsTable
  idempotency_keys: IdempotencyKeysTable
  control: ControlTable
}

export type Db = Kysely<Tables>
export type Trx = Transaction<Tables>
export type EndingRow = Selectable<EndingsTable>
export type AttemptRow = Selectable<AttemptsTable>
export type Engine = 'sqlite' | 'postgres'
