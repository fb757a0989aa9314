export type Part = 'configuration' | 'database' | 'digital-samba' | 'webhook' | 'endings'
export type Verdict = 'ok' | 'warning' | 'wrong' | 'skipped'

/** One thing that was looked at. `values` are for programs, where there is something to count. */
export interface Finding {
  part: Part
  verdict: Verdict
  says: string
  /** what to do about it */
  todo?: string
  values?: Record<string, number | string | null>
}

/** Short words for the findings of one part. */
export function findingsOf(part: Part) {
  return {
    ok: (says: string, values?: Finding['values']): Finding => ({
      part,
      verdict: 'ok',
      says,
      ...(values ? { values } : {}),
    }),
    warning: (says: string, todo: string): Finding => ({ part, verdict: 'warning', says, todo }),
    wrong: (says: string, todo: string): Finding => ({ part, verdict: 'wrong', says, todo }),
    skipped: (says: string): Finding => ({ part, verdict: 'skipped', says }),
  }
}

const OFF_MS = { warning: 5_000, wrong: 60_000 }

/** How bad it is that two clocks are so far apart. */
export function clockVerdict(offsetMs: number): 'ok' | 'warning' | 'wrong' {
  const off = Math.abs(offsetMs)
  return off > OFF_MS.wrong ? 'wrong' : off > OFF_MS.warning ? 'warning' : 'ok'
}

export function seconds(ms: number): string {
  return `${(Math.abs(ms) / 1000).toFixed(1)} s`
}
