import type { Room } from '../../src/sandbox/sandbox.ts'
import { type AskedHold, MINUTE_MS, namesOf, PARTIES, type Party } from './asked.ts'
import { busyRoom, iso, party } from './owners.ts'
import { type Stage, time } from './stage.ts'

/** Systems that send events: bookings that are made, moved, cancelled and made again, and accounts that do not pay. */

interface Booking {
  id: string
  by: Party
  /** a sender names its rooms in one way */
  of: string
  room: Room
  startsAt: number
  endsAt: number
  isCancelled: boolean
  ending: string
}

interface Account {
  name: string
  rooms: Room[]
  endings: string[]
}

export class Senders {
  readonly #stage: Stage
  readonly #bookings: Booking[] = []
  readonly #suspended: Account[] = []
  #events = 0

  constructor(stage: Stage) {
    this.#stage = stage
  }

  async schedule(): Promise<void> {
    const stage = this.#stage
    const { startsAt, endsAt } = this.#times()
    const room = busyRoom(stage)
    const by = party(stage)
    const of = namesOf(room)[(stage.rooms.indexOf(room) + PARTIES.indexOf(by)) % 3] as string
    const id = `b${this.#bookings.length}`
    const booking: Booking = { id, by, of, room, startsAt, endsAt, isCancelled: true, ending: '' }
    if (await this.#tellScheduled('booking.scheduled', booking)) this.#bookings.push(booking)
  }

  /** One that is on is moved; one that was cancelled is booked again. */
  async reschedule(): Promise<void> {
    const booking = this.#stage.pick(this.#bookings.slice(-this.#stage.rooms.length))
    if (!booking) return
    const moved = { ...booking, ...this.#times() }
    if (await this.#tellScheduled('booking.rescheduled', moved)) Object.assign(booking, moved)
  }

  async cancel(): Promise<void> {
    const stage = this.#stage
    const { asked } = stage
    const current = this.#bookings.filter(({ isCancelled, endsAt }) => !isCancelled && endsAt > stage.now)
    const booking = stage.pick(current)
    if (!booking) return
    const { id, by, of, room, startsAt, endsAt } = booking
    const answer = await this.#send('booking.cancelled', by, { bookingId: id })
    if (!answer) return
    const { now } = stage
    booking.isCancelled = true
    const subject = `booking:${id}`
    asked.lift((hold) => hold.by === by && hold.subject === subject, now)
    this.#takeBack(booking.ending)
    stage.note(room, `${by} cancels booking ${id}`)
    const hold = { room: of, by, until: endsAt, askedAt: now, subject, liftedAt: null }
    const isOpen = this.#isBooked(booking, Math.max(startsAt, now))
    if (startsAt > now) return isOpen ? undefined : asked.hold({ ...hold, from: startsAt, endingId: null })
    booking.ending = answer.at(-1) as string
    asked.ending({ id: booking.ending, by, of, dueAt: now, askedAt: now, isCancelled: false })
    if (!isOpen) asked.hold({ ...hold, from: now, endingId: booking.ending })
  }

  /** The same sender has booked the room for that time again already: then it stays open. */
  #isBooked({ by, of, endsAt }: Booking, from: number): boolean {
    const { endings } = this.#stage.asked
    return this.#bookings.some((other) => {
      if (other.isCancelled || other.by !== by || other.of !== of || other.startsAt >= endsAt) return false
      const ending = endings.get(other.ending)
      return ending !== undefined && !ending.isCancelled && ending.dueAt > from
    })
  }

  async suspend(): Promise<void> {
    const stage = this.#stage
    const rooms = [busyRoom(stage), busyRoom(stage)].filter((room, i, all) => all.indexOf(room) === i)
    const account: Account = { name: `a${this.#events}`, rooms, endings: [] }
    const graceSeconds = stage.chance(0.5) ? stage.between(1, 600) : 0
    const targets = rooms.map((room, i) =>
      i === 0 ? { roomId: room.friendlyUrl } : { roomExternalId: room.externalId },
    )
    const data = { account: account.name, targets, graceSeconds }
    const answer = await this.#send('billing.suspended', 'billing', data)
    if (!answer) return
    account.endings = answer
    this.#suspended.push(account)
    const dueAt = stage.now + graceSeconds * 1000
    for (const [i, room] of rooms.entries()) {
      const of = i === 0 ? room.friendlyUrl : `external:${room.externalId}`
      const common = { by: 'billing' as const, askedAt: stage.now }
      stage.asked.ending({ ...common, id: answer[i] as string, of, dueAt, isCancelled: false })
      const hold = { ...common, room: of, from: dueAt, until: null, subject: `account:${account.name}` }
      stage.asked.hold({ ...hold, endingId: answer[i] as string, liftedAt: null })
      stage.note(room, `billing suspends ${account.name} with ${of} at ${time(dueAt)}`)
    }
  }

  async resume(): Promise<void> {
    const stage = this.#stage
    const account = this.#suspended[0]
    if (!account) return
    const { name } = account
    if (!(await this.#send('billing.resumed', 'billing', { account: name }))) return
    this.#suspended.shift()
    for (const ending of account.endings) this.#takeBack(ending)
    stage.asked.lift(({ subject }) => subject === `account:${name}`, stage.now)
    for (const room of account.rooms) stage.note(room, `billing resumes ${name}`)
  }

  async #tellScheduled(type: string, booking: Booking): Promise<boolean> {
    const stage = this.#stage
    const { id, by, of, room, startsAt, endsAt } = booking
    const target = of.startsWith('external:') ? { roomExternalId: room.externalId } : { roomId: of }
    const times = { startsAt: iso(startsAt), endsAt: iso(endsAt) }
    const answer = await this.#send(type, by, { bookingId: id, ...target, ...times })
    if (!answer) return false
    const { now, asked } = stage
    Object.assign(booking, { isCancelled: false, ending: answer.at(-1) })
    asked.lift((hold) => hold.endingId === booking.ending, now)
    asked.ending({ id: booking.ending, by, of, dueAt: endsAt, askedAt: now, isCancelled: false })
    const overlaps = (hold: AskedHold) => hold.from < endsAt && (hold.until ?? endsAt + 1) > startsAt
    asked.lift((hold) => {
      if (hold.by !== by || !hold.subject?.startsWith('booking:')) return false
      return hold.subject === `booking:${id}` || (hold.room === of && overlaps(hold))
    }, now)
    stage.note(room, `${by} books ${of} from ${time(startsAt)} to ${time(endsAt)}: ${id}, ${booking.ending}`)
    return true
  }

  #takeBack(ending: string): void {
    const known = this.#stage.asked.endings.get(ending)
    if (known) known.isCancelled = true
  }

  #times(): { startsAt: number; endsAt: number } {
    const startsAt = this.#stage.now + this.#stage.between(-20 * 60, 40 * 60) * 1000
    return { startsAt, endsAt: Math.max(startsAt, this.#stage.now) + this.#stage.between(2, 60) * MINUTE_MS }
  }

  /** The endings that it made or changed; undefined where Curfew was down. Some are sent twice. */
  async #send(type: string, by: Party, data: object): Promise<string[] | undefined> {
    const stage = this.#stage
    const event = { specversion: '1.0', id: `e${this.#events}`, source: '/simulation', type, data }
    this.#events += 1
    const answer = await stage.ask('POST', '/v1/events', by, event)
    if (answer?.status !== 202) return undefined
    const [first] = answer.body.events
    if (first.status !== 'accepted') stage.faults.push(`${type} ${event.id} was ${first.status}`)
    if (stage.chance(0.2)) {
      const again = await stage.ask('POST', '/v1/events', by, event)
      const status = again?.body.events[0].status
      if (again && status !== 'duplicate') stage.faults.push(`${type} ${event.id} repeated was ${status}`)
    }
    return first.endings
  }
}
