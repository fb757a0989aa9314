import type { Sandbox, SandboxOptions } from '../../src/sandbox/sandbox.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { ManualClock } from '../helper/manual-clock.ts'

export const TEAM_ID = 'team-1'
export const DEVELOPER_KEY = 'key-1'
export const BASIC = `Basic ${btoa(`${TEAM_ID}:${DEVELOPER_KEY}`)}`

// biome-ignore lint/suspicious/noExplicitAny: tests look at what came, whatever it is
export type Json = any

interface Test {
  teardown(handler: () => Promise<void>): void
}

export interface TestSandbox {
  sandbox: Sandbox
  clock: ManualClock
  /** A call of the vendor's API with the right credentials. */
  api(method: string, path: string, body?: unknown): Promise<Response>
  /** The same, read as JSON. */
  json(method: string, path: string, body?: unknown): Promise<Json>
  /** A call of the sandbox's controls. */
  control(method: string, path: string, body?: unknown): Promise<Response>
}

/** A sandbox on a clock that stands still; it closes itself. */
export async function build(t: Test, options: SandboxOptions = {}): Promise<TestSandbox> {
  const clock = new ManualClock()
  const sandbox = await startSandbox({ clock, teamId: TEAM_ID, developerKey: DEVELOPER_KEY, ...options })
  t.teardown(() => sandbox.close())
  const call = (prefix: string, headers: Record<string, string>) => {
    return (method: string, path: string, body?: unknown) =>
      fetch(`${sandbox.url}${prefix}${path}`, {
        method,
        redirect: 'manual',
        headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
  }
  const api = call('/api/v1', { authorization: BASIC })
  return {
    sandbox,
    clock,
    api,
    json: async (method, path, body) => (await api(method, path, body)).json() as Promise<Json>,
    control: call('/sandbox', {}),
  }
}
