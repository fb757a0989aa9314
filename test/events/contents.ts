import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import type { EndingRow, EventsTable, SubjectsTable } from '../../src/storage/schema.ts'

/** All that events leave behind. */
export interface Contents {
  endings: EndingRow[]
  events: EventsTable[]
  subjects: SubjectsTable[]
}

const TEXTS = {
  endings: 'select * from endings order by id',
  events: 'select * from events order by sender, source, id',
  subjects: 'select * from subjects order by sender, subject',
}

/** The rows of the ledger, read past the service. */
export async function contents(databaseUrl: string): Promise<Contents> {
  const { ask, close } = databaseUrl.startsWith('file:')
    ? openFile(databaseUrl.slice('file:'.length))
    : await openServer(databaseUrl)
  try {
    const found: Record<string, unknown[]> = {}
    for (const [name, text] of Object.entries(TEXTS)) found[name] = await ask(text)
    return found as unknown as Contents
  } finally {
    await close()
  }
}

function openFile(file: string) {
  const db = new DatabaseSync(file, { readOnly: true })
  return { ask: async (text: string): Promise<unknown[]> => db.prepare(text).all(), close: () => db.close() }
}

async function openServer(connectionString: string) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  return {
    ask: async (text: string): Promise<unknown[]> => (await client.query(text)).rows,
    close: () => client.end(),
  }
}
