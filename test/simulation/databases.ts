import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Engine } from '../../src/storage/schema.ts'
import { freshUrl } from '../helper/engines.ts'

/** A fresh database. What is tested is not whether a disk keeps its word, and waiting for one takes most of the time. */
export async function freshUrlInMemory(t: Test, engine: Engine): Promise<string> {
  if (engine === 'postgres') return freshUrl(t, engine)
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'curfew-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return `file:${join(folder, 'curfew.db')}`
}
