import t from 'tap'
import { isProblem } from '../routes/problems.ts'
import { HOUR, startScene } from '../routes/scene.ts'
import { event, post } from './messages.ts'

t.test('the other spelling of cancelled is the same', async (t) => {
  const scene = await startScene(t)
  const booking = { bookingId: 'b', roomId: 'room', startsAt: scene.at(HOUR), endsAt: scene.at(2 * HOUR) }
  const [scheduled] = (await post(scene, event('booking.scheduled', booking))).json().events
  for (const type of ['booking.canceled', 'com.example.booking.canceled']) {
    const { events } = (await post(scene, event(type, { bookingId: 'b' }))).json()
    t.match(events, [{ status: 'accepted' }], type)
  }
  t.match(await scene.ending(scheduled.endings[0]), { state: 'cancelled' })
})

t.test('a type that is not known is answered with what was probably meant, and logged', async (t) => {
  const lines: Array<Record<string, unknown>> = []
  const scene = await startScene(t, { onLog: (line) => void lines.push(line) })
  const answer = async (type: string) => (await post(scene, event(type, {}))).json().events[0]
  t.match(await answer('booking.cancled'), {
    status: 'ignored',
    detail: /^perhaps booking\.cancel.* is meant; known are /,
  })
  t.match(await answer('tea.served'), { status: 'ignored', detail: /^known are booking\.scheduled, / })
  t.match(
    lines.filter(({ msg }) => msg === 'event.ignored'),
    [
      { level: 40, type: 'booking.cancled' },
      { level: 40, type: 'tea.served' },
    ],
  )
})

t.test('a booking that is moved need not repeat its room', async (t) => {
  const scene = await startScene(t)
  const booking = { bookingId: 'b', roomId: 'room', endsAt: scene.at(HOUR) }
  const [first] = (await post(scene, event('booking.scheduled', booking))).json().events
  const moved = event('booking.rescheduled', { bookingId: 'b', endsAt: scene.at(2 * HOUR) })
  const [second] = (await post(scene, moved)).json().events
  t.same(second.endings, first.endings)
  t.match(await scene.ending(first.endings[0]), { target: { room: 'room' }, dueAt: scene.at(2 * HOUR) })
  const late = event('booking.rescheduled', { bookingId: 'unheard of', endsAt: scene.at(HOUR) })
  t.match((await post(scene, late)).json().events, [{ status: 'accepted', endings: [] }])
  const told = event(
    'booking.scheduled',
    { bookingId: 'unheard of', roomId: 'other', endsAt: scene.at(9) },
    {
      time: scene.at(-HOUR),
    },
  )
  const [known] = (await post(scene, told)).json().events
  t.match(await scene.ending(known.endings[0]), { target: { room: 'other' }, dueAt: scene.at(HOUR) })
})

t.test('what is no text is told to be one, and warnings after the end make no sense', async (t) => {
  const scene = await startScene(t)
  const number = await post(scene, event('booking.cancelled', { bookingId: 8731 }))
  isProblem(t, number, 422, 'invalid', ['/0/data/bookingId'])
  t.match(number.json().errors[0].detail, /^must be a string of 1 to 190 characters/)
  const rule = { maxMinutes: 5, warnMinutes: [10] }
  const answer = await scene.request('PUT', '/v1/time-limits/room', { body: rule })
  isProblem(t, answer, 422, 'invalid', ['/warnMinutes/0'])
})
