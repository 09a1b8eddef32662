// An HTTP server that gets what SNS delivers.

import { once } from 'node:events'
import { createServer } from 'node:http'

/** Starts one; `next()` gives one request after the other, and `answers` are the statuses of the next answers. */
export async function receiver() {
  const arrived = []
  const waiting = []
  const answers = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    response.statusCode = answers.shift() ?? 200
    response.end()
    const found = { headers: request.headers, body, json: () => JSON.parse(body) }
    const resolve = waiting.shift()
    if (resolve) resolve(found)
    else arrived.push(found)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    answers,
    next: () => (arrived.length ? Promise.resolve(arrived.shift()) : new Promise((resolve) => waiting.push(resolve))),
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
