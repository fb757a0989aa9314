import t from 'tap'
import { Together } from '../../src/storage/engine/batcher.ts'

const isRefusal = (error: unknown) => (error as Error).message === 'refused'

t.test('what arrives before the work begins is done together, in its order', async (t) => {
  const batches: number[][] = []
  const together = new Together<number, number>(async (take) => {
    await null
    batches.push([...take()])
    return take().map((item) => item * 10)
  }, isRefusal)
  const add = (item: number) => together.add(item)
  t.same(await Promise.all([1, 2, 3].map(add)), [10, 20, 30])
  t.same(await Promise.all([4, 5].map(add)), [40, 50])
  t.same(batches, [
    [1, 2, 3],
    [4, 5],
  ])
})

t.test("one's refusal is not another's, and trouble is everybody's", async (t) => {
  let trouble = false
  const together = new Together<number, number>(async (take) => {
    await null
    const items = take()
    if (trouble) throw new Error('trouble')
    if (items.includes(2)) throw new Error('refused')
    return items
  }, isRefusal)
  const settle = async (items: number[]) =>
    (await Promise.allSettled(items.map((item) => together.add(item)))).map(({ status }) => status)
  t.same(await settle([1]), ['fulfilled'])
  t.same(await settle([1, 2, 3]), ['fulfilled', 'rejected', 'fulfilled'])
  trouble = true
  t.same(await settle([1, 3]), ['rejected', 'rejected'])
})

t.test('after work that could not even begin, the next is begun', async (t) => {
  let reachable = false
  const together = new Together<number, number>(async (take) => {
    await null
    if (!reachable) throw new Error('trouble')
    return take()
  }, isRefusal)
  await t.rejects(together.add(1), { message: 'trouble' })
  reachable = true
  t.equal(await together.add(2), 2)
})
