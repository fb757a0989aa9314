import http from 'node:http'

/**
 * The far end of a load test: answers at once, and costs as little as Node can. `GET /counted` says how many ends it
 * was asked for; `GET /times` says when each session was (epoch ms with fractions), and forgets them.
 */
let ends = 0
let times: Record<string, number> = {}
const server = http.createServer((request, response) => {
  const url = request.url as string
  if (request.method === 'POST' && url.endsWith('/end')) {
    ends += 1
    times[url.slice('/api/v1/sessions/'.length, -'/end'.length)] = performance.timeOrigin + performance.now()
    request.resume()
    response.writeHead(200, { 'content-length': 0 }).end()
  } else if (url === '/counted') response.end(JSON.stringify(ends))
  else if (url === '/times') {
    response.end(JSON.stringify(times))
    times = {}
  } else
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ session_live: false, session_start_time: '2026-01-01T00:00:00Z' }))
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  process.stdout.write(`http://127.0.0.1:${port}\n`)
})
