import { readFile } from 'node:fs/promises'

/** The page at /docs and all that it loads: the files of Swagger UI, and a few lines that begin it. */

// Its own files and nothing else; what it shows by data: are icons.
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  ...['script-src', 'style-src', 'connect-src', 'font-src'].map((directive) => `${directive} 'self'`),
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const PAGE_HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  // Another version of Curfew may have other files under the same names.
  'cache-control': 'no-cache',
}

// Paths are relative, so that it may stand behind a prefix.
export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Curfew</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/index.css">
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/begin.js"></script>
</html>
`

// Its other layout has a bar for choosing among documents, with a picture that brings a style of its own.
const BEGIN = `SwaggerUIBundle({ url: 'openapi.json', dom_id: '#swagger-ui', layout: 'BaseLayout', validatorUrl: null })
`

interface Part {
  type: string
  read: () => Promise<Buffer | string>
}

const file = (name: string, type: string): [string, Part] => [
  name,
  { type, read: () => readFile(new URL(`static/${name}`, import.meta.resolve('@fastify/swagger-ui'))) },
]

/** By name; nothing else is served. */
export const PARTS = new Map<string, Part>([
  ['begin.js', { type: 'text/javascript; charset=utf-8', read: async () => BEGIN }],
  file('swagger-ui-bundle.js', 'text/javascript; charset=utf-8'),
  file('swagger-ui.css', 'text/css; charset=utf-8'),
  file('index.css', 'text/css; charset=utf-8'),
  file('favicon-32x32.png', 'image/png'),
])
