import { DatabaseSync } from 'node:sqlite'
import { readingUrl } from '../storage/engine/reading.ts'

/** What SQLite finds wrong with a file, or `ok`: a process of its own, so that it can be ended (src/doctor/sqlite.ts). */
const database = new DatabaseSync(readingUrl(process.argv[2] as string), { readOnly: true })
const rows = database.prepare('pragma quick_check(1)').all() as Array<{ quick_check: string }>
process.stdout.write(rows.map((row) => row.quick_check).join('\n'))
database.close()
