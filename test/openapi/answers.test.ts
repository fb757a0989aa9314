import t from 'tap'
import { OPERATIONS } from '../../src/openapi/operations.ts'
import { COMMON } from '../../src/openapi/responses.ts'
import { PROBLEMS, type ProblemCode } from '../../src/problem.ts'
import { Conformance, type Document } from './conformance.ts'
import { everyExchange } from './exchanges.ts'

t.test('every operation and every mistake is as the document says', async (t) => {
  const { exchanges, document } = await everyExchange(t)
  const conformance = new Conformance(document as unknown as Document)
  for (const { call, answer } of exchanges) {
    const isRefused = answer.statusCode === 405
    const flaws = isRefused
      ? conformance.refusalFlaws('method-not-allowed', answer)
      : conformance.flaws(call, answer)
    t.same(flaws, [], call)
  }

  const { seen } = conformance
  for (const { id, answers, problems } of Object.values(OPERATIONS)) {
    for (const status of Object.keys(answers))
      t.ok(seen.has(`${id} ${status} `), `${id} has answered ${status}`)
    for (const code of [...problems, 'invalid' as const])
      t.ok(seen.has(`${id} ${PROBLEMS[code][0]} ${code}`), `${id} has answered ${code}`)
  }
  const codes = new Set([...seen].map((one) => one.split(' ')[2]))
  for (const code of COMMON) t.ok(codes.has(code), `somebody was answered ${code}`)
  const elsewhere = (Object.keys(PROBLEMS) as ProblemCode[]).filter((code) => !codes.has(code))
  t.same(elsewhere, ['method-not-allowed'], 'no operation answers this one')
  t.ok(seen.has('method-not-allowed'), 'and paths do')
})
