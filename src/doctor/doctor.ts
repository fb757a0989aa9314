import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import { type Finding, findingsOf } from './finding.ts'
import { asJson, asText, isWell } from './report.ts'
import { urlFlaw } from './webhook-url.ts'

/*
 * `npm run doctor`: what is right and what is wrong with a Curfew's configuration, its database and Digital Samba, and
 * what to do about it. It starts nothing, and changes nothing but with --fix-webhook. Exits 0 where all is well, 1 where
 * something is wrong, 2 where it was not called right.
 */
const USAGE = `npm run doctor -- [--json] [--webhook-url URL | --fix-webhook URL]
  --json             one JSON document with the same findings
  --webhook-url URL  what Digital Samba's webhook should be sent to
  --fix-webhook URL  makes that webhook, or mends it: the only thing that changes anything
`
const LONGEST_MS = 20_000

const { json, wish } = argumentsOrExit()
const findings: Finding[] = []
// Whatever is broken, and however: what is known by then is told.
setTimeout(() => {
  const todo = 'what was looked at last does not answer: a disk or a network that hangs'
  findings.push(findingsOf(findings.at(-1)?.part ?? 'configuration').wrong('not finished within 20 s', todo))
  tell()
}, LONGEST_MS)

// Loaded only now: whoever called it wrongly need not wait for the service's libraries.
const { examine } = await import('./examine.ts')
await examine({
  env: process.env,
  directory: process.cwd(),
  clock: systemClock,
  wish,
  onFindings: (more) => void findings.push(...more),
}).catch(({ name, stack }: Error) => {
  // The stack alone: an error may carry what it was about, and a secret in that.
  process.stderr.write(`${stack}\n`)
  const part = findingsOf(findings.at(-1)?.part ?? 'configuration')
  findings.push(
    part.wrong(`what comes next could not be looked at (${name})`, 'the lines before this say where'),
  )
})
tell()

function tell(): never {
  process.stdout.write(json ? asJson(findings) : asText(findings))
  process.exit(isWell(findings) ? 0 : 1)
}

function argumentsOrExit() {
  try {
    const options = {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      'webhook-url': { type: 'string' },
      'fix-webhook': { type: 'string' },
    } as const
    const { json, help, 'webhook-url': url, 'fix-webhook': fixUrl } = parseArgs({ options }).values
    if (help) usage(0, '')
    if (url !== undefined && fixUrl !== undefined) usage(2, 'one of --webhook-url and --fix-webhook')
    const flaw = urlFlaw(url ?? fixUrl ?? '')
    if ((url ?? fixUrl) !== undefined && flaw !== undefined)
      usage(2, `--${url === undefined ? 'fix-webhook' : 'webhook-url'} ${flaw}`)
    return { json, wish: { url: url ?? fixUrl, fix: fixUrl !== undefined } }
  } catch (error) {
    return usage(2, (error as Error).message.split('\n', 1)[0] as string)
  }
}

function usage(code: 0 | 2, why: string): never {
  process[code === 0 ? 'stdout' : 'stderr'].write(why === '' ? USAGE : `doctor: ${why}\n${USAGE}`)
  process.exit(code)
}
