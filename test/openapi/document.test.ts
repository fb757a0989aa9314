import { readFileSync } from 'node:fs'
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { documentOf } from '../../src/plugins/document.ts'
import { startService } from '../helper/service.ts'
import { Conformance, codeOf, type Document } from './conformance.ts'
import { made } from './made.ts'

const text = readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8')
const document: Document = JSON.parse(text)

t.test('openapi.json is what the code makes: npm run openapi writes it', async (t) => {
  t.equal(text, await made())
})

t.test('openapi.json is valid OpenAPI 3.1', async (t) => {
  const validator = new Validator()
  t.same(await validator.validate(JSON.parse(text)), { valid: true })
  t.equal(validator.version, '3.1')
})

t.test('the service answers with it, to everybody', async (t) => {
  const { request } = await startService(t)
  for (const _ of ['first', 'then']) {
    const answer = await request('GET', '/openapi.json', { as: null })
    t.equal(answer.statusCode, 200)
    t.match(answer.headers['content-type'], /^application\/json/)
    t.same(answer.json(), document)
  }
  t.equal((await request('HEAD', '/openapi.json', { as: null })).statusCode, 200)
  t.equal((await request('POST', '/openapi.json')).statusCode, 405)
  t.equal((await request('GET', '/openapi.json?x=1')).statusCode, 422)
})

t.test('operations have names of their own, and every field its meaning', async (t) => {
  const conformance = new Conformance(document)
  const operations = conformance.operations()
  t.equal(new Set(operations.map(([, { operationId }]) => operationId)).size, operations.length)
  const bare = Object.entries(document.components.schemas).flatMap(([name, schema]) =>
    withoutMeaning(schema, name),
  )
  t.same(bare, [])
})

t.test('every example is as its schema says', async (t) => {
  const conformance = new Conformance(document)
  let examples = 0
  for (const [call, { requestBody, responses }] of conformance.operations()) {
    const [method = '', path = ''] = call.split(' ')
    const at = `#/paths/${path.replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D')}/${method.toLowerCase()}`
    const bodies = Object.entries(requestBody?.content ?? {}).map(([type, media]) => ({
      media,
      where: `${at}/requestBody/content/${type.replace('/', '~1')}/schema`,
    }))
    const answers = Object.entries(responses).flatMap(([status, { content = {} }]) =>
      Object.entries(content).map(([type, media]) => ({
        media,
        where: `${at}/responses/${status}/content/${type.replace('/', '~1')}/schema`,
      })),
    )
    for (const { media, where } of [...bodies, ...answers]) {
      if (media.example === undefined) continue
      examples += 1
      t.same(conformance.mistakes(where, media.example), [], where)
    }
  }
  t.ok(examples > 30, `${examples} examples`)
  for (const [code, { value }] of Object.entries(document.components.examples)) {
    t.equal(codeOf(400, JSON.stringify(value)), code)
    t.same(conformance.mistakes('#/components/schemas/Problem', value), [])
  }
})

t.test('a route or a field that nobody has described is not passed over', async (t) => {
  const { app } = await startService(t)
  const more = { method: 'GET', url: '/v1/nobody-knows', schema: {} }
  await t.rejects(documentOf([...app.routeList, more]), /GET \/v1\/nobody-knows has no summary/)
  await t.rejects(documentOf(app.routeList.slice(1)), /there is no GET .* any more/)
  const health = app.routeList.find(({ url }) => url === '/healthz')
  const field = { type: 'object', properties: { colour: { type: 'string' } } }
  const changed = { method: 'GET', url: '/healthz', schema: { ...health?.schema, querystring: field } }
  const others = app.routeList.filter(({ url }) => url !== '/healthz')
  await t.rejects(documentOf([...others, changed]), /getHealth\.colour has no meaning/)
})

function withoutMeaning(schema: Record<string, unknown>, path: string): string[] {
  return Object.entries((schema.properties ?? {}) as Record<string, Record<string, unknown>>).flatMap(
    ([name, field]) => [
      ...(field.description || field.const !== undefined || field.$ref ? [] : [`${path}.${name}`]),
      ...withoutMeaning(field, `${path}.${name}`),
    ],
  )
}
