import type { Config } from './config/config.ts'
import type { Engine } from './storage/schema.ts'

interface Parts {
  ledger: { backlog(): Promise<{ pending: number }> }
  limits: { countInForce(): Promise<{ rules: number; holds: number }> }
  database: { engine: Engine }
}

/** What the line of a process that has started says of it: what it found, and what it is set up for. No secret. */
export async function startLine({ ledger, limits, database }: Parts, config: Config, version: string) {
  const [{ pending }, { rules, holds }] = await Promise.all([ledger.backlog(), limits.countInForce()])
  const { keys, eventSecrets, webhookSecret, receivers } = config
  return {
    version,
    database: database.engine,
    pending,
    rules,
    holds,
    callers: new Set([...keys, ...eventSecrets].map(({ name }) => name)).size,
    digitalSambaWebhook: webhookSecret !== undefined,
    notified: receivers.map(({ caller }) => caller),
    pid: process.pid,
  }
}
