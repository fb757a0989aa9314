import type { Finding, Part, Verdict } from './finding.ts'

const MARKS: Record<Verdict, string> = { ok: '✓', warning: '!', wrong: '✗', skipped: '–' }
const TITLES: Record<Part, string> = {
  configuration: 'Configuration',
  database: 'Database',
  'digital-samba': 'Digital Samba',
  webhook: "Digital Samba's webhook",
  endings: 'Endings',
}

/** For people: a line each, and under it what to do. */
export function asText(findings: Finding[]): string {
  const lines: string[] = []
  let part: Part | undefined
  for (const finding of findings) {
    if (finding.part !== part) lines.push(...(part ? [''] : []), TITLES[finding.part])
    part = finding.part
    lines.push(`  ${MARKS[finding.verdict]} ${finding.says}`)
    if (finding.todo !== undefined) lines.push(`    → ${finding.todo}`)
  }
  return [...lines, '', summary(findings), ''].join('\n')
}

function summary(findings: Finding[]): string {
  const count = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length
  const [wrong, warnings] = [count('wrong'), count('warning')]
  const besides = warnings === 0 ? '' : ` ${warnings} to look at (!).`
  return wrong === 0 ? `All is well.${besides}` : `${wrong} wrong (✗).${besides}`
}

/** For programs: the same findings. */
export function asJson(findings: Finding[]): string {
  return `${JSON.stringify({ ok: isWell(findings), findings }, null, 2)}\n`
}

export function isWell(findings: Finding[]): boolean {
  return findings.every(({ verdict }) => verdict !== 'wrong')
}
