// The endpoint under test, a client for it, and its clock.

const url = process.env.POSTHASTE_ENDPOINT
if (!url) {
  console.error('set POSTHASTE_ENDPOINT, or run under conformance/with-server')
  process.exit(2)
}

/** A client of one of the SDK's classes. Nothing is retried, so that every answer is seen. */
export const client = (Class) =>
  new Class({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  })

/** Lets so many seconds pass on an endpoint whose clock moves only when told. */
export async function advance(seconds) {
  const answer = await fetch(new URL('/_posthaste/clock', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ advance: `${seconds}s` }),
  })
  if (!answer.ok) throw new Error(`the clock answered ${answer.status}`)
}

/** Whether the endpoint has such a clock. */
export async function hasClock() {
  const health = await fetch(new URL('/_posthaste/health', url))
  return health.ok && advance(1).then(() => true, () => false)
}
