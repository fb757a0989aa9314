import t from 'tap'
import { askAtRandom } from './at-random.ts'

t.test('requests made at random from the document: no 500, and no answer that is not in it', async (t) => {
  const { statuses, kinds } = await askAtRandom(t, 500, 1)
  for (const status of ['200', '202', '401', '404', '422'])
    t.ok(statuses[status], `some are answered ${status}`)
  t.ok(kinds > 50, `${kinds} kinds of answers`)
})
