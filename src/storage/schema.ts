import type { Kysely, Selectable, Transaction } from 'kysely'
import type { Failure, Outcome, Result, State, TargetKind } from '../ending.ts'
import type { NotificationState, NotificationType } from '../notification.ts'

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
  /** How many minutes before its due time people are warned, as JSON; null for never. */
  warn_minutes: string | null
  /** When the next warning is due. */
  warn_at: number | null
  /** What it asked for before it was replaced the last time, as JSON: no statement returns both. */
  previous: string | null
  /** What went wrong last, and when. */
  last_error: string | null
  last_error_at: number | null
  /** W3C trace context of the request or event that asked for it; null for what nobody asked for by name. */
  traceparent: string | null
}

/** What somebody changed of an ending, in the order of `seq`. */
export interface ChangesTable {
  ending_id: string
  seq: number
  at: number
  by: string
  change: 'moved' | 'replaced' | 'cancelled' | 'retried' | 'reopened'
  /** JSON, only what is different */
  before: string
  after: string
}

/** One row for each end call, whoever made it and whatever became of its ending. */
interface AttemptsTable {
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

interface IdempotencyKeysTable {
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

/** What operators have stopped, until they let it go on. */
export interface PausesTable {
  /** whose endings; '' for everything */
  caller: string
  paused_by: string
  reason: string
  since: number
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
  /** the room that a booking is for, and when; all null for what books none, the start where it was not told */
  booked_kind: 'room' | 'external' | null
  booked_room: string | null
  booked_from: number | null
  booked_until: number | null
}

/** A rule: no session in this room lasts longer. */
interface TimeLimitsTable {
  /** a room's UUID or friendly URL, or `external:` and its external id */
  room: string
  /** 1 where the room is named by its UUID */
  by_id: number
  requested_by: string
  max_minutes: number
  /** JSON; null for the default */
  warn_minutes: string | null
  created_at: number
  updated_at: number
}

/** A session that a rule or a hold is, or was, about. */
interface SessionsTable {
  id: string
  room_id: string | null
  friendly_url: string | null
  external_id: string | null
  /** as Digital Samba tells it */
  started_at: number
  seen_at: number
  /** when it was seen not to be live */
  over_at: number | null
}

/** The ending that one party's rules have made for a session. */
interface SessionLimitsTable {
  session: string
  requested_by: string
  ending_id: string
  /** the rule that it was, and when that was due before anybody moved it */
  room: string
  due_at: number
}

/** The ending that one party's holds have made for a session; of several holds, one stands for it. */
interface SessionHoldsTable {
  session: string
  requested_by: string
  hold_id: string
  ending_id: string
}

/** The rule of a room has changed, and not every session that it is about is in line with it. */
interface LimitChangesTable {
  /** as the rule names it; empty for the default */
  room: string
  /** the last session that was brought in line */
  after_session: string
  changed_at: number
}

/** Marked before it is sent: a message twice annoys, a lost one does not matter. */
interface WarningsTable {
  ending_id: string
  due_at: number
  /** which of the warnings it is */
  minutes: number
  /** what people were told, which is less where it came late */
  told_minutes: number
  marked_at: number
  sent_at: number | null
  /**
   * `superseded`: another ending comes first, so this one's time is not when people have to go; `too_soon`: people were
   * warned a moment ago, or of the same time already
   */
  result: 'begun' | 'sent' | 'nobody_there' | 'superseded' | 'too_soon' | 'failed'
}

/** What people in a room were told last. */
interface WarnedRoomsTable {
  room: string
  warned_at: number
  /** JSON: the warnings of ends that are still ahead */
  told: string
}

/** A room that is kept closed: sessions that begin in it meanwhile are ended. */
interface HoldsTable {
  id: string
  room_kind: 'room' | 'external'
  room: string
  /** 1 where the room is named by its UUID */
  by_id: number
  from_at: number
  /** null: until it is lifted */
  until_at: number | null
  requested_by: string
  reason: string
  subject: string | null
  /** the ending that it came with */
  ending_id: string | null
  created_at: number
  lifted_at: number | null
  lifted_by: string | null
}

interface SweepsTable {
  name: 'live' | 'pruning'
  next_at: number
}

/** `call`: any call. `urgent`: those that only urgent endings may use. `other`, `sweep`: the parts for what is no end. */
export type PermitKind = 'call' | 'urgent' | 'other' | 'sweep'

interface PermitsTable {
  kind: PermitKind
  slot: number
  free_at: number
}

/** What a caller's receiver is told of one transition of one of its endings, until it has said that it heard. */
interface NotificationsTable {
  /** the same at every try: a receiver knows a repeat by it */
  id: string
  ending_id: string
  /** whose ending it is */
  caller: string
  type: NotificationType
  state: NotificationState
  /** the ending as the transition left it: an EndingRow, as JSON */
  ending: string
  created_at: number
  /** how often it has been tried */
  attempt: number
  /** what `attempt` was when somebody had it tried again, so that the backoff is a short one then */
  retry_base: number
  next_attempt_at: number
  finished_at: number | null
  /** what the last try came to */
  last_status: number | null
  last_error: string | null
}

interface NotificationTriesTable {
  notification_id: string
  attempt: number
  started_at: number
  duration_ms: number
  /** null where there was no answer */
  status: number | null
  /** null where it was told */
  error: string | null
  /** the beginning of what was answered */
  answer: string
}

/** Which process tells a caller, and how its URL has been doing. */
interface ReceiversTable {
  caller: string
  /** The process that tells it until then; nobody where that is null or past. */
  holder: string | null
  held_until: number | null
  /** Since when every try has failed; null where the last one has not. */
  failing_since: number | null
  last_error: string | null
  /** When the log said that it has been failing for a day. */
  reported_at: number | null
}

/** How often something happened in a minute or an hour, as one process counted it: see storage/statistics/counting.ts. */
interface StatisticsTable {
  step: 'minute' | 'hour'
  /** when the minute or hour began */
  at: number
  /** Which process: none of them waits for another's row. */
  source: string
  name: string
  count: number
}

export interface Tables {
  statistics: StatisticsTable
  notifications: NotificationsTable
  notification_tries: NotificationTriesTable
  receivers: ReceiversTable
  permits: PermitsTable
  endings: EndingsTable
  changes: ChangesTable
  events: EventsTable
  subjects: SubjectsTable
  attempts: AttemptsTable
  idempotency_keys: IdempotencyKeysTable
  control: ControlTable
  pauses: PausesTable
  time_limits: TimeLimitsTable
  sessions: SessionsTable
  session_limits: SessionLimitsTable
  session_holds: SessionHoldsTable
  limit_changes: LimitChangesTable
  warnings: WarningsTable
  warned_rooms: WarnedRoomsTable
  holds: HoldsTable
  sweeps: SweepsTable
}

export type Db = Kysely<Tables>
export type Trx = Transaction<Tables>
export type EndingRow = Selectable<EndingsTable>
export type ChangeRow = Selectable<ChangesTable>
export type TimeLimitRow = Selectable<TimeLimitsTable>
export type SessionRow = Selectable<SessionsTable>
export type SessionLimitRow = Selectable<SessionLimitsTable>
export type HoldRow = Selectable<HoldsTable>
export type WarningRow = Selectable<WarningsTable>
export type AttemptRow = Selectable<AttemptsTable>
export type NotificationRow = Selectable<NotificationsTable>
export type NotificationTryRow = Selectable<NotificationTriesTable>
export type ReceiverRow = Selectable<ReceiversTable>
export type Engine = 'sqlite' | 'postgres'
