import { readFileSync } from 'node:fs'

/** The value below which the share `p` (0 to 1) of the values lies. */
export function percentile(values: number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(Math.floor(sorted.length * p), sorted.length - 1)] ?? Number.NaN
}

export const median = (values: number[]) => percentile(values, 0.5)

/** Resident memory of a process in MB, as Linux tells it. */
export function residentMb(pid: number): number {
  const kb = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kb) / 1024)
}

export type Row = [what: string, figure: string, bar: string]
