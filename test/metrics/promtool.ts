import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { Read } from './reading.ts'

export const RULES = fileURLToPath(new URL('../../deploy/prometheus/curfew.rules.yml', import.meta.url))

/** Why rules cannot be tried here; false where they can. */
export const missing =
  spawnSync('promtool', ['--version']).status === 0
    ? false
    : 'promtool is not installed here (Debian: apt-get install prometheus)'

export function promtool(...args: string[]) {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

/** What was scraped, one for each step; undefined where nothing answered. */
export type Scrapes = Array<Read | undefined>

/** Whether an alert fires by what was scraped every `stepSeconds`, after each of the `after` scrapes: as promtool finds it. */
export function firing(
  folder: string,
  alert: string,
  scrapes: Scrapes,
  stepSeconds: number,
  after: number[],
) {
  const labels = 'job="curfew", instance="a"'
  const names = new Set(
    scrapes.flatMap((read) => [...(read?.keys() ?? [])]).filter((name) => WANTED.test(name)),
  )
  const series = [...names].map((name) => ({
    series: name.includes('{') ? name.replace('{', `{${labels}, `) : `${name}{${labels}}`,
    // What is gone from one scrape to the next is marked so.
    values: scrapes
      .map((read, i) => read?.get(name) ?? (scrapes[i - 1]?.has(name) ? 'stale' : '_'))
      .join(' '),
  }))
  const up = { series: `up{${labels}}`, values: scrapes.map((read) => (read ? 1 : 0)).join(' ') }
  const tests = after.map((count) => ({
    expr: `count(ALERTS{alertname="${alert}", alertstate="firing"}) or vector(0)`,
    eval_time: `${(count - 1) * stepSeconds}s`,
  }))
  const file = join(folder, `${alert}.yml`)
  return tests.map(({ expr, eval_time }) => {
    const expected = { expr, eval_time, exp_samples: [{ value: 0 }] }
    const test = { interval: `${stepSeconds}s`, input_series: [up, ...series], promql_expr_test: [expected] }
    writeFileSync(
      file,
      stringify({ rule_files: [RULES], evaluation_interval: `${stepSeconds}s`, tests: [test] }),
    )
    const { status, output } = promtool('test', 'rules', file)
    if (status !== 0 && !/got: *\{\} [1-9]/.test(output)) throw new Error(output)
    return status !== 0
  })
}

const WANTED = /^(curfew_|http_request_duration_seconds_count)/
