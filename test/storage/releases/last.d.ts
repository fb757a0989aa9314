import type { Ledger as Current } from '../../../src/storage/ledger.ts'

/** What the test asks of it has not changed since. */
export type LastLedger = Pick<Current, 'store' | 'cancel' | 'claim' | 'record' | 'find' | 'retry'>

export function openDatabase(options: { url: string; clock: object }): Promise<{ close(): Promise<void> }>
export const Ledger: new (database: object) => LastLedger
