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
  confirmed_at: number | null
  metadata: string
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

export interface Tables {
  endings: EndingsTable
  attempts: AttemptsTable
  idempotency_keys: IdempotencyKeysTable
  control: ControlTable
}

export type Db = Kysely<Tables>
export type Trx = Transaction<Tables>
export type EndingRow = Selectable<EndingsTable>
export type AttemptRow = Selectable<AttemptsTable>
export type Engine = 'sqlite' | 'postgres'
