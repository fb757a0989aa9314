import { json } from 'node:stream/consumers'
import { documentOf } from './document.ts'
import type { ListedRoute } from './route-list.ts'

/** A process of its own that reads the routes and writes the document. */
const routes = (await json(process.stdin)) as ListedRoute[]
process.stdout.write(JSON.stringify(await documentOf(routes)))
