import { readFile } from 'node:fs/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { notFound } from '../plugins/errors.ts'
import { Nothing } from './schemas.ts'

/** The page for people on call: static files, read when somebody opens it. What it does, it does by the public interface. */

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  ...['script-src', 'style-src', 'connect-src', 'img-src'].map((directive) => `${directive} 'self'`),
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'referrer-policy': 'no-referrer',
  // Another version of Curfew may have other files under the same names.
  'cache-control': 'no-cache',
}

const SCRIPT = 'text/javascript; charset=utf-8'
const TYPES: Record<string, string> = {
  js: SCRIPT,
  mjs: SCRIPT,
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}
const OWN = [
  'address.js',
  'api.js',
  'ending.js',
  'icon.svg',
  'lateness.js',
  'ledger.js',
  'library.js',
  'main.js',
  'notifications.js',
  'now.js',
  'parts.js',
  'polled.js',
  'rules.js',
  'sessions.js',
  'style.css',
  'time.js',
]
/** Where packages have what a browser takes as it is. */
const LIBRARIES: Record<string, string> = {
  'preact.mjs': import.meta.resolve('preact'),
  'hooks.mjs': import.meta.resolve('preact/hooks'),
  'signals.mjs': new URL('signals.mjs', import.meta.resolve('@preact/signals')).href,
  'signals-core.mjs': new URL(
    '../../signals-core/dist/signals-core.mjs',
    import.meta.resolve('@preact/signals'),
  ).href,
  'htm.mjs': import.meta.resolve('htm'),
  'uplot.mjs': new URL('uPlot.esm.js', import.meta.resolve('uplot')).href,
  'uplot.css': new URL('uPlot.min.css', import.meta.resolve('uplot')).href,
}
/** What packages call each other, which a browser could only be told by a script in the page itself. */
const NAMES: Record<string, string> = {
  preact: './preact.mjs',
  'preact/hooks': './hooks.mjs',
  '@preact/signals-core': './signals-core.mjs',
}

export const consolePage: FastifyPluginAsyncTypebox = async (app) => {
  const known = new Set([...OWN, ...Object.keys(LIBRARIES).map((name) => `lib/${name}`)])
  app.route({
    method: 'GET',
    url: '/console',
    schema: { querystring: Nothing },
    handler: async (_, reply) =>
      reply
        .headers(HEADERS)
        .type('text/html; charset=utf-8')
        .send(await own('index.html')),
  })
  app.route<{ Params: { '*': string } }>({
    method: 'GET',
    url: '/console/*',
    config: { isHidden: true },
    schema: { querystring: Nothing },
    handler: async (request, reply) => {
      const name = request.params['*']
      if (name === '') return reply.redirect('../console')
      if (!known.has(name)) throw notFound(request)
      const part = name.startsWith('lib/') ? await library(name.slice('lib/'.length)) : await own(name)
      return reply
        .headers(HEADERS)
        .type(TYPES[name.split('.').at(-1) as string] as string)
        .send(part)
    },
  })
}

function own(name: string): Promise<string> {
  return readFile(new URL(`../console/${name}`, import.meta.url), 'utf8')
}

async function library(name: string): Promise<string> {
  const text = await readFile(new URL(LIBRARIES[name] as string), 'utf8')
  if (!name.endsWith('.mjs')) return text
  return text
    .replaceAll(/(from\s*)"([^"]+)"/g, (whole, from, what) =>
      NAMES[what] ? `${from}"${NAMES[what]}"` : whole,
    )
    .replace(/\/\/# sourceMappingURL=.*\s*$/, '')
}
